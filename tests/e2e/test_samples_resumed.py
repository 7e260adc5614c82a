"""Several answers of a real model at temperature 1: numbers made here again, and equal after a kill."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations
from math import sqrt
from pathlib import Path
from shutil import copytree
from statistics import mean, variance
from typing import Any

import inprocess
import pytest

import evaluators
from viubench.api.run import Run, load_run
from viubench.schema import Record

pytestmark = pytest.mark.engine


def command(model: Path, items: Path, cache: Path, out: Path) -> Run:
    done = inprocess.command(
        "run", "--model", model, "--engine", "hf", "--engine-arg", "device=cpu", "--tasks", items, "--out", out,
        "--samples", 4, "--temperature", 1, "--max-tokens", 6, "--max-pixels", 16384, "--limit", 1,
        "--frame-cache", cache,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return load_run(out)


def untimed(run: Run) -> dict[tuple[str, int], dict[str, Any]]:
    return {record.key: record.model_dump(exclude={"seconds"}) for record in run.records}


def vote(own: list[Record], metric: str) -> float:
    answers = [(repr(record.answer), record.scores[metric]) for record in own if record.status == "ok"]
    if not answers:
        return 0.0
    winner = Counter(answer for answer, _ in answers).most_common(1)[0][0]
    return next(score for answer, score in answers if answer == winner)


def test_four_answers_at_temperature_1(clips: Path, tiny_model: Path, tmp_path: Path) -> None:
    items, cache = tmp_path / "items", tmp_path / "cache"
    inprocess.viubench("build", "--recipe", "viubench-mini", "--videos", clips, "--out", items)
    run = command(tiny_model, items, cache, tmp_path / "a")
    by_question: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(run.records, key=lambda record: record.key):
        by_question[record.task][record.id].append(record)
    differing = 0
    for task, questions in by_question.items():
        metric = evaluators.get(run.manifest.tasks[task].evaluator.name).metric
        result = run.results.tasks[task]
        scores = [[record.scores.get(metric, 0.0) for record in own] for own in questions.values()]
        assert {len(own) for own in scores} == {4}
        assert result.n == len(scores)
        assert result.value == pytest.approx(mean(map(mean, scores)), abs=1e-6)
        assert result.pass_at_k == {
            k: pytest.approx(mean(mean(map(max, combinations(own, k))) for own in scores), abs=1e-6) for k in (1, 2, 4)
        }
        assert result.vote == pytest.approx(mean(vote(own, metric) for own in questions.values()), abs=1e-6)
        assert result.spread is not None
        assert result.spread.within == pytest.approx(sqrt(mean(map(variance, scores))), abs=1e-6)
        differing += sum(len({record.response for record in own}) > 1 for own in questions.values())
    assert differing > 5, "at temperature 1 the answers to one question are not all the same"
    killed = copytree(tmp_path / "a", tmp_path / "b")
    (killed / "results.json").unlink()
    lines = (killed / "records.jsonl").read_bytes()
    (killed / "records.jsonl").write_bytes(lines[: len(lines) // 3])
    assert untimed(command(tiny_model, items, cache, killed)) == untimed(run)
    assert (killed / "results.json").read_bytes() == (tmp_path / "a" / "results.json").read_bytes()
