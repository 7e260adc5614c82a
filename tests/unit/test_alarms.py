"""A run says at once when answers do not arrive, and again at its end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from test_several_scores import manifest, records_of

import evaluators
import viubench
from viubench.cli.tables import results_table
from viubench.engines.base import Engine, Request, Response
from viubench.runner.alarms import LEAST, Alarm, closing
from viubench.runner.plan import Plan
from viubench.schema import Decoding, Failure, Protocol, Record, Status
from viubench.scoring.aggregate import summarise
from viubench.storage.run_dir import write_json

PLAN = Plan((), {"t": Protocol(protocol="p", decoding=Decoding(max_tokens=64))}, {"t": evaluators.get("choice")})


def record(number: int, status: Status, **more: Any) -> Record:
    return Record(task="t", id=f"q{number}", cluster="v", status=status, finish_reason="stop", **more)


@pytest.mark.parametrize("start", [0, 5])
def test_more_than_half_of_enough_answers_give_one_line(start: int) -> None:
    alarm = Alarm(PLAN)
    lines = [alarm.add(record(n, "ok")) for n in range(start)]
    lines += [alarm.add(record(n, "truncated", response="and so\non", reasoning="")) for n in range(start, 60)]
    assert [place for place, line in enumerate(lines) if line] == [max(LEAST - 1, 2 * start)]
    (line,) = filter(None, lines)
    assert f"such as q{start}, which ends 'and so\\non' (finish reason: stop); raise --max-tokens (now 64)" in line


@pytest.mark.parametrize(
    ("status", "more", "words"),
    [
        ("truncated", {"response": "", "reasoning": "x" * 99 + "But wait"}, "But wait' while it thinks (finish reason"),
        ("truncated", {"response": "", "reasoning": "But wait"}, "raise --max-tokens (now 64), or --thinking off"),
        ("unparsed", {"response": ""}, "which is empty (finish reason: stop); look at the responses"),
        ("refused", {"response": "I cannot"}, "a filter declines"),
    ],
)
def test_the_line_has_an_example_and_what_to_do(status: Status, more: dict[str, Any], words: str) -> None:
    alarm = Alarm(PLAN)
    lines = [alarm.add(record(n, status, **more)) for n in range(LEAST)]
    assert words in lines[-1]
    assert len(lines[-1]) < 400


def test_half_is_not_more_than_half_and_errors_are_no_answers() -> None:
    alarm = Alarm(PLAN)
    assert not any(alarm.add(record(n, "ok" if n % 2 == 0 else "unparsed", response="?")) for n in range(40))
    alarm = Alarm(PLAN)
    error = Failure(fault="engine", detail="busy")
    assert not any(alarm.add(record(n, "engine_error", error=error)) for n in range(40))


@pytest.mark.parametrize(("lost", "said"), [(2, False), (3, True)])
def test_the_end_of_a_run_says_it_above_a_tenth(tmp_path: Path, lost: int, said: bool) -> None:
    records, about = records_of([["A"]] * (20 - lost) + [["-"]] * lost), manifest(20, 1)
    write_json(tmp_path / "manifest.json", about)
    (tmp_path / "records.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in records))
    line = closing(tmp_path, summarise(records, about))
    assert bool(line) == said
    assert not said or line.startswith("3 of 20 answers cannot be used (unparsed 3), such as q17, which ends '-'")


def test_a_file_of_another_harness_is_not_asked_again(tmp_path: Path) -> None:
    records, about = records_of([["A"]] * 10), manifest(10, 1)
    error = Failure(fault="not_in_file", detail="the imported files have no answer to it")
    changes = {"status": "engine_error", "response": None, "answer": None, "error": error}
    records[-4:] = [one.model_copy(update=changes) for one in records[-4:]]
    write_json(tmp_path / "manifest.json", about)
    (tmp_path / "records.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in records))
    line = closing(tmp_path, summarise(records, about))
    assert line.endswith("import the file that has them too, or leave them out with --partial")


class Thinks(Engine):
    """Never finishes thinking."""

    kind = "thinks"
    needs_media = False

    async def generate(self, request: Request) -> Response:
        await asyncio.sleep(0)
        return Response("so the answer is A. But wait, I should check", "length", prompt_end="<think>\n")

    def describe(self) -> dict[str, Any]:
        return {"model": "thinks"}


def test_a_run_tells_it_once_and_in_its_log(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="viubench"):
        run = viubench.evaluate(Thinks(), "viubench-mini", videos=clips, out=tmp_path / "run")
    told = [line for line in caplog.messages if "few answers arrive" in line]
    assert len(told) == 1
    assert "I should check' while it thinks (finish reason: length); raise --max-tokens" in told[0]
    assert told[0] in (tmp_path / "run" / "run.log").read_text()
    assert {one.status for one in run.records} == {"truncated"}
    assert "--thinking off" in run.unanswered()
    assert run.valid, "the exit code is about the harness"


def test_the_table_has_what_several_answers_tell() -> None:
    text = results_table(summarise(records_of([["A", "A", "A", "B"], ["B", "B", "A", "A"]]), manifest(2, 4)))
    assert "avg@4" in text
    for head in ("SD between questions", "SD within", "pass@1", "pass@2", "pass@4", "majority vote"):
        assert head in text
    assert "pass@" not in results_table(summarise(records_of([["A"], ["B"]]), manifest(2, 1)))
