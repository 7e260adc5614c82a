"""Every format as its harness writes it: recognised by its content, and read with its score and its failures."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pickle
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_files import lines
from openpyxl import Workbook

from viubench.datasets.tables import Unreadable, pickles, rows, zips
from viubench.errors import ViubenchError
from viubench.imports.answers import FileAnswer
from viubench.imports.importing import Source


def read(path: Path, format: str | None = None, **named: str) -> tuple[str, list[FileAnswer], list[Unreadable]]:  # noqa: A002
    """The name of the format, the answers, and the rows that are none."""
    source = Source.open(path, format, named)
    found = list(source.answers())
    return (
        source.format.name,
        [one for one in found if isinstance(one, FileAnswer)],
        [one for one in found if isinstance(one, Unreadable)],
    )


def xlsx(path: Path, table: Sequence[Sequence[Any]]) -> Path:
    book = Workbook()
    for row in table:
        book.active.append(list(row))  # type: ignore[union-attr]
    book.save(path)
    return path


def test_lmms_eval_with_reasoning_several_answers_and_no_text(tmp_path: Path) -> None:
    found = read(
        lines(
            tmp_path / "20260101_000000_samples_videomme.jsonl",
            [
                {
                    "doc_id": 0,
                    "filtered_resps": "B",
                    "resps": ["<think>it is blue</think>B"],
                    "target": "B",
                    "input": "Q",
                    "lvbench_score": 1.0,
                    "input_media": [{"type": "video", "path": "a/clip.mp4"}],
                },
                {"doc_id": 1, "filtered_resps": ["A", "B"], "target": "A", "score": {"exact_match": 0}},
                {"doc_id": 2, "filtered_resps": [["-1.5", "True"], ["-2.5", "False"]], "target": "A"},
                {
                    "doc_id": 3,
                    "filtered_resps": "C",
                    "doc": {"question_id": "7", "question": "Who?", "video": "v.mp4"},
                    "videomme_score": {"pred_answer": "C", "answer": "c"},
                },
            ],
        )
    )
    name, (first, second, third), (unread,) = found
    assert name == "lmms-eval"
    assert (first.texts, first.reasoning, first.score, first.video) == (
        ("B",),
        "<think>it is blue</think>",
        1.0,
        "a/clip.mp4",
    )
    assert (second.texts, second.score) == (("A", "B"), 0.0)
    assert (third.ids, third.question, third.video, third.score) == (("7",), "Who?", "v.mp4", 1.0)
    assert "log-likelihoods" in unread.reason


def test_lm_evaluation_harness_gives_the_response_not_what_a_filter_took(tmp_path: Path) -> None:
    row = {
        "doc_id": 4,
        "doc": {"id": "q4"},
        "arguments": {"gen_args_0": {"arg_0": "Which one?", "arg_1": {}}},
        "resps": [["I think it is B"]],
        "filtered_resps": ["B"],
        "filter": "strict",
        "exact_match": 1.0,
        "target": "B",
    }
    name, (one,), _ = read(lines(tmp_path / "samples_t_2026-01-01T00-00-00.1.jsonl", [row]))
    assert name == "lm-eval"
    assert (one.texts, one.extracted, one.question, one.score, one.ids) == (
        ("I think it is B",),
        "B",
        "Which one?",
        1.0,
        ("q4",),
    )


@pytest.mark.parametrize("suffix", ["xlsx", "tsv", "json"])
def test_vlmevalkit_tables(suffix: str, tmp_path: Path) -> None:
    """An answer that begins with "=" is no formula, an empty one is an answer, and a failed request is none."""
    header = ["index", "video", "question", "A", "B", "answer", "prediction", "score"]
    table = [
        [0, "v1", "Who?", "a cat", "a dog", "B", "=B", 1],
        [1, "v1", "Why?", "so", "not", "A", None, 0],
        [2, "v2", "When?", "now", "then", "A", "Failed to obtain answer via API.", -1],
    ]
    path = tmp_path / f"model_Video-MME.{suffix}"
    if suffix == "xlsx":
        xlsx(path, [header, *table])
    elif suffix == "tsv":
        text = io.StringIO()
        csv.writer(text, delimiter="\t").writerows([header, *table])
        path.write_text(text.getvalue())
    else:
        path.write_text(json.dumps([dict(zip(header, row, strict=True)) for row in table], indent=1))
    name, (first, second, third), unread = read(path)
    assert (name, unread) == ("vlmevalkit", [])
    assert (first.texts, first.row, first.score, first.target) == (("=B",), 0, 1.0, "B")
    assert "B. a dog" in first.question
    assert (second.texts, second.score) == (("",), 0.0)
    assert (third.texts, third.score) == ((), None)
    assert "Failed" in third.failure


def test_a_pickle_of_answers_is_read_and_code_in_one_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "answers.pkl"
    path.write_bytes(pickle.dumps({3: "B", "4": "C", 5: ["no", "text"]}))
    name, found, unread = read(path)
    assert name == "vlmevalkit"
    assert [(one.row, one.texts) for one in found] == [(3, ("B",)), (4, ("C",))]
    assert len(unread) == 1

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    path.write_bytes(pickle.dumps({3: Evil()}))
    with pytest.raises(ViubenchError, match="can run any code") as refused:
        read(path)
    assert "to_csv" in (refused.value.hint or "")
    assert not (tmp_path / "made").exists()
    path.write_bytes(b"\x80\x05r\xff\xff\xff\x7f.")  # names a place far beyond the memory
    with pytest.raises(ViubenchError, match="damaged"):
        read(path)


def test_evalscope_predictions_and_reviews(tmp_path: Path) -> None:
    rows = [
        {
            "index": 0,
            "model": "m",
            "model_output": {
                "choices": [
                    {
                        "message": {
                            "role": "assistant",
                            "content": [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "B"}],
                        },
                        "stop_reason": "max_tokens",
                    }
                ]
            },
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Who?"}],
        },
        {
            "index": 1,
            "input": "Why?",
            "target": "A",
            "sample_score": {
                "sample_id": 1,
                "score": {
                    "value": {"acc": 1.0, "len": 3},
                    "main_score_name": "acc",
                    "prediction": "It is A",
                    "extracted_prediction": "A",
                },
            },
        },
        {"index": 2, "model": "m", "model_output": {"choices": [], "error": "timeout"}},
    ]
    name, (first, second, third), unread = read(lines(tmp_path / "videomme_default.jsonl", [*rows, {"index": 3}]))
    assert name == "evalscope"
    assert (first.texts, first.reasoning, first.finish_reason, first.question) == (("B",), "hm", "length", "Who?")
    assert (second.texts, second.score, second.extracted, second.target) == (("It is A",), 1.0, "A", "A")
    assert (third.texts, third.failure) == ((), "timeout")
    assert len(unread) == 1


def test_qwen_lines(tmp_path: Path) -> None:
    row = {
        "question_id": 9,
        "annotation": {"index": 9, "question": "Who?", "A": "cat", "answer": "A"},
        "task": "VideoMME",
        "result": {"gen": "A", "gen_raw": "<think>hm</think>A"},
        "messages": [],
    }
    name, (one,), _ = read(lines(tmp_path / "o.jsonl", [row]))
    assert name == "qwen"
    assert (one.texts, one.ids, one.target, one.extracted) == (("<think>hm</think>A",), ("9",), "A", "A")


def eval_log(path: Path, samples: Sequence[Any]) -> Path:
    start = {
        "version": 2,
        "eval": {
            "task": "videomme",
            "model": "openai/m",
            "model_generate_config": {"temperature": 0.5},
            "packages": {"inspect_ai": "0.3.1"},
        },
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_journal/start.json", json.dumps(start))
        for number, sample in enumerate(samples):
            archive.writestr(
                f"samples/{number}_epoch_1.json", sample if isinstance(sample, bytes) else json.dumps(sample)
            )
    return path


def test_an_inspect_log(tmp_path: Path) -> None:
    sample = {
        "id": "001-1",
        "epoch": 2,
        "input": [{"role": "user", "content": "Who?"}],
        "target": ["B"],
        "output": {"choices": [{"message": {"content": "B"}, "stop_reason": "stop"}], "usage": {"output_tokens": 3}},
        "scores": {"choice": {"value": "C", "answer": "B"}},
    }
    failed = {"id": "001-2", "epoch": 1, "input": "Why?", "target": "A", "output": {}, "error": {"message": "gone"}}
    path = eval_log(tmp_path / "log.eval", [sample, failed, b"{"])
    name, (first, second), (unread,) = read(path)
    assert name == "inspect"
    assert (first.texts, first.number, first.score, first.target, first.usage) == (
        ("B",),
        1,
        1.0,
        "B",
        {"completion_tokens": 3},
    )
    assert second.failure == "gone"
    assert unread.place == "samples/2_epoch_1.json"
    about = Source.open(path, None, {}).about
    assert (about.model, about.version, about.decoding) == ("openai/m", "0.3.1", {"temperature": 0.5})


def test_a_plain_table_with_named_columns(tmp_path: Path) -> None:
    path = tmp_path / "said.csv"
    path.write_text('key,said,right\n7,"B, surely",yes\n8,"two\nlines",0\n')
    name, (first, second), _ = read(path, response="said", id="key", score="right")
    assert name == "columns"
    assert (first.texts, first.ids, first.score) == (("B, surely",), ("7",), None)
    assert (second.texts, second.score) == (("two\nlines",), 0.0)
    _, none, unread = read(path)
    assert not none
    assert "no column" in unread[0].reason
    with pytest.raises(ViubenchError, match="no column is used as 'sayd'"):
        read(path, sayd="said")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\x03\x04 and nothing more", "archive is damaged"),
        (b"a,b\n\xff\xfe,2\n", "UTF-8"),
        (b"[1, 2", "damaged|no row"),
        (b"[" * 100_000, "damaged|no row"),
        (b'{"a": ' * 5_000 + b"1", "damaged|no row"),
        (b"\x80\x05garbage", "pickle is damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ViubenchError, match=message):
        read(tmp_path / "file")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long rows are skipped and told, large parts of archives are not unpacked."""
    monkeypatch.setattr(rows, "LONGEST_ROW", 1000)
    monkeypatch.setattr(zips, "LARGEST_PART", 1000)
    row = {"index": 1, "prediction": "x"}
    path = lines(tmp_path / "long.jsonl", [row, {**row, "prediction": "y" * 5000}, row])
    _, found, (unread,) = read(path)
    assert [one.place for one in found] == ["line 1", "line 3"]
    assert "longer" in unread.reason
    table = xlsx(tmp_path / "t.xlsx", [["index", "prediction"], *([n, "B"] for n in range(100))])
    with pytest.raises(ViubenchError, match="when unpacked"):
        read(table)
    _, _, (large,) = read(
        eval_log(tmp_path / "l.eval", [{"id": 1, "epoch": 1, "input": "", "output": {}}, {"x": "y" * 2000}])
    )
    assert "more than" in large.reason
    monkeypatch.setattr(rows, "LARGEST_WHOLE", 1000)
    monkeypatch.setattr(pickles, "LARGEST", 1000)
    (tmp_path / "whole.json").write_text(json.dumps({"1": "A", "2": "y" * 2000}))
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({1: "A", 2: "y" * 2000}))
    for name, said in (("whole.json", "in one JSON object"), ("p.pkl", "a pickle of more than")):
        with pytest.raises(ViubenchError, match=said):
            list(rows.rows(tmp_path / name))


def test_an_array_is_read_element_by_element(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "CHUNK", 16)
    wanted = [{"index": n, "prediction": "é]," * n} for n in range(20)]
    (tmp_path / "a.json").write_text(f" {json.dumps(wanted, indent=2, ensure_ascii=False)}\n")
    assert [row for _, row in rows.rows(tmp_path / "a.json")] == wanted


def test_vinoground_s_two_questions_of_a_clip_have_ids_of_their_own(tmp_path: Path) -> None:
    verdict = {"index": "3_pos", "question_type": "video", "pred": "A", "categories": ["all"]}
    row = {"doc_id": 0, "filtered_resps": "A", "target": "A", "doc_hash": "x", "vinoground_score": verdict}
    _, (one,), _ = read(lines(tmp_path / "v.jsonl", [row]))
    assert "3_pos_video" in one.ids


STARTS = [
    b"",
    b"PK\x03\x04",
    b"\x80\x04",
    b'{"doc_id": 0}\n',
    b'[{"index": 0}, ',
    b"index,prediction\n",
    b'{"samples": ',
]


@settings(max_examples=300)
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=60), table=st.binary(max_size=3), at=st.integers(0, 4000))
def test_any_bytes_are_rows_or_an_error_in_a_sentence(start: bytes, rest: bytes, table: bytes, at: int) -> None:
    """Also an xlsx and an Inspect log with some bytes changed."""
    with tempfile.TemporaryDirectory() as folder:
        whole = xlsx(Path(folder) / "t.xlsx", [["index", "prediction"], [1, "B"]]).read_bytes()
        log = eval_log(Path(folder) / "l.eval", [{"id": 1, "epoch": 1, "input": "", "output": {}}]).read_bytes()
        for content in (start + rest, *(made[:at] + table + made[at + len(table) :] for made in (whole, log))):
            (Path(folder) / "file").write_bytes(content)
            with contextlib.suppress(ViubenchError):
                read(Path(folder) / "file")
