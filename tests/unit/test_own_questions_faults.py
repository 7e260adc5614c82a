"""Questions of one's own that were written with a slip: none is scored wrongly in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from viubench.datasets.dataset import Dataset
from viubench.errors import ViubenchError
from viubench.runner.collect import Collector
from viubench.runner.config import EvalConfig

QA = {"video": "a.mp4", "question": "What is it?", "options": ["a cup", "a box", "a ball"]}
GOOD = [QA | {"answer": "A"}, QA | {"answer": "B"}]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))


def read(tasks: Any, tmp_path: Path, **options: Any) -> Dataset:
    config = EvalConfig(engine="oracle", tasks=tasks, out=tmp_path / "run", **options)
    return Collector(config, tmp_path / "run").collect().datasets[0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (QA | {"question": " ", "answer": "C"}, "its question is empty"),
        (QA | {"question": "<video>\n", "answer": "C"}, "its question is empty"),
        (QA | {"options": ["a cup", "A cup.", "a ball"], "answer": "a cup"}, "stands there twice, as A and B"),
        (QA | {"options": ["a cup", "a box", "a cup"], "answer": "A"}, "stands there twice, as A and C"),
        (QA | {"answer": "AC"}, "names several options"),
        (QA | {"answer": "A and B"}, "names several options"),
    ],
)
def test_a_question_without_one_right_option_is_left_out_and_named(
    row: dict[str, Any], said: str, tmp_path: Path
) -> None:
    dataset = read([*GOOD, row], tmp_path)
    assert [sample.target for sample in dataset.samples] == ["A", "B"]
    assert "1 of 3 rows cannot be read; questions, row 3: " in dataset.notes[0]
    assert said in dataset.notes[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["a cup", "nan", "nan"], "have two options that say the same"),
        (["2", "2024-03-04 00:00:00", "5"], "have options that are dates"),
    ],
)
def test_what_may_be_wrong_with_options_is_told(options: list[str], said: str, tmp_path: Path) -> None:
    dataset = read([*GOOD, QA | {"options": options, "answer": "A"}], tmp_path)
    assert len(dataset.samples) == 3
    assert "1 of 3 samples" in dataset.notes[0]
    assert said in dataset.notes[0]


def test_answers_that_all_name_several_options_are_said_to(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match="names several options"):
        read([QA | {"answer": "A,C"}, QA | {"answer": ["A", "B"]}, QA | {"answer": "B;C"}], tmp_path)


def test_a_whole_number_with_decimals_is_that_option_and_no_place(tmp_path: Path) -> None:
    rows = [
        QA | {"options": ["2", "3", "4"], "answer": "3.0"},
        QA | {"options": ["5", "6", "7"], "answer": "6.0"},
    ]
    path = tmp_path / "numbers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [sample.target for sample in read(path, tmp_path).samples] == ["B", "B"]
