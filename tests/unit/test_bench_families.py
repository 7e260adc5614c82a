"""The table of families: the latest row counts, a page keeps the rest of its text, a crash does not end the table."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.bench import families, families_page
from tests.bench.families import Answered, FamilyRow
from viubench.errors import ViubenchError

SHOWN = {"kind": "video", "tokens": 1008, "times": "prompt", "height": 384, "width": 672}


def answered(response: str, **more: Any) -> Answered:
    return Answered(
        **{"status": "ok", "detail": "", "response": response, "prompt_tokens": 1207, "shown": SHOWN} | more
    )


def row(engine: str, *responses: str, family: str = "qwen3_vl", **more: Any) -> FamilyRow:
    return FamilyRow(family, engine, dict(zip(families.CLIPS, map(answered, responses), strict=False)), **more)


def cells(*rows: FamilyRow) -> list[list[str]]:
    """What the table says of each row."""
    lines = families_page.table(rows).splitlines()[2:]
    return [[cell.strip() for cell in line.split(" | ")[1:]] for line in lines]


def test_what_was_measured_stands_in_the_table() -> None:
    other = answered("d", prompt_tokens=9)
    served = FamilyRow("qwen3_vl", "server", {"low": answered("a"), "wide": other}, proof="prompt tokens")
    hf, vllm, server = cells(served, row("hf", *"abcd"), row("vllm", *"abcx"))
    assert hf[:5] == ["transformers", "4 of 4", "video, proved", "prompt", "1,207 (1,008)"]
    assert vllm[5] == "tokens 4, answers 3 of 4 |"
    assert (server[2], server[5]) == ("video, tokens proved", "tokens 1, answers 1 of 2 |")
    assert cells(row("hf", "a", "b", "b", family="internvl"))[0][2:4] == [
        "video, proved, two clips, one answer",
        "words",
    ]


def test_what_went_wrong_stands_in_the_table() -> None:
    failed = {"low": answered("", status="engine_error", detail="refused: a | b"), "wide": answered("a", shown={})}
    assert "1 of 2: refused: a \\| b | not said" in families_page.table([FamilyRow("llava", "hf", failed)])
    clear, crashed = cells(
        FamilyRow("llava", "hf", error="no vision tokens"), FamilyRow("llava", "vllm", error="exit code 1", clear=False)
    )
    assert clear[1] == "error at the start: no vision tokens"
    assert crashed[1].startswith("**crashed**: exit code 1")


def test_the_latest_row_counts_and_what_is_there_is_not_measured_again(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    out.write_text("".join(json.dumps(asdict(one)) + "\n" for one in (row("hf", "old"), row("hf", "new"))))
    (latest,) = families.rows(out)
    assert latest == row("hf", "new")
    assert list(families.measure(["qwen3_vl"], ["hf"], out, tmp_path, 1, False)) == []


@pytest.mark.parametrize(
    ("program", "engine", "limit", "error"),
    [
        (sys.executable, "no-such-engine", 60, "no such engine"),
        (sys.executable, "hf", 0.01, "not done after 0.01 s"),
        ("false", "hf", 60, "exit code 1"),
    ],
)
def test_a_process_that_fails_is_a_row(
    program: str, engine: str, limit: float, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "draw", lambda folder: None)
    monkeypatch.setattr(sys, "executable", program)
    (tmp_path / "qwen3_vl").mkdir()
    out = tmp_path / "rows.jsonl"
    (only,) = families.measure(["qwen3_vl"], [engine], out, tmp_path, limit, False)
    assert only.error.startswith(error)
    assert only.clear == (engine == "no-such-engine")
    assert families.rows(out) == [only]


def test_only_what_is_between_the_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Head\n<!-- families -->\nold\n<!-- /families -->\ntail\n")
    families_page.document(page, [row("hf", *"abcd", packages={"torch": "2"})])
    text = page.read_text()
    assert text.startswith("# Head\n<!-- families -->\ntorch 2:\n\n| family")
    assert text.endswith("\n<!-- /families -->\ntail\n")
    assert "- molmo2: " in text
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(ViubenchError, match="no <!-- families -->"):
        families_page.document(page, [])
