"""An exported folder as lmms-eval sees it: tasks loaded by its own manager, answers scored by its own aggregation.

Example:
    >>> scores(Path("exported"), "viubench_mini", lambda doc: doc["answer"])["viubench_mini"]["score"]
    1.0
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from typer.testing import CliRunner

from viubench.cli import app
from viubench.export import lmms, lmms_scoring
from viubench.schema import Sample
from viubench.storage.run_dir import read_results

Answering = Callable[[dict[str, Any]], str]


def tasks(folder: Path, names: str, cache: Path) -> dict[Any, Any]:
    """Groups and tasks as lmms-eval's `get_task_dict` gives them for a model that takes messages."""
    from lmms_eval.tasks import TaskManager, get_task_dict

    with mock.patch.dict(os.environ, {"LMMS_EVAL_DATASETS_CACHE": str(cache)}):
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        loaded: dict[Any, Any] = get_task_dict(names.split(","), manager, task_type="chat")
    return loaded


def scores(loaded: dict[Any, Any], answering: Answering) -> dict[str, dict[str, Any]]:
    """What lmms-eval reports for these answers: group or task -> metric -> value."""
    from lmms_eval.evaluator_utils import consolidate_group_results, consolidate_results, get_task_list

    outputs = get_task_list(loaded)
    for output in outputs:
        for doc in output.task.eval_docs:
            for metric, value in output.task.process_results(doc, [answering(doc)]).items():
                output.sample_metrics[metric, "none"].append(value)
        output.calculate_aggregate_metric(bootstrap_iters=0)
        output.calculate_clt_aggregate_metric()
    results, _, _, versions, *_ = consolidate_results(outputs)
    results, *_ = consolidate_group_results(results, versions, loaded)
    return {
        name: {key.removesuffix(",none"): value for key, value in row.items() if key.endswith(",none")}
        for name, row in results.items()
    }


def docs(loaded: dict[Any, Any]) -> list[dict[str, Any]]:
    """Every row of every task."""
    from lmms_eval.evaluator_utils import get_task_list

    return [doc for output in get_task_list(loaded) for doc in output.task.eval_docs]


def viubench(cache: Path, *words: object) -> Any:
    done = CliRunner().invoke(app, list(map(str, words)), env={"VIUBENCH_CACHE": str(cache)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def sample_in(doc: dict[str, Any]) -> Sample:
    return Sample.from_json(doc["sample"])


def oracle(doc: dict[str, Any]) -> str:
    return str(doc["answer"])


def junk(doc: dict[str, Any]) -> str:
    return "the weather is fine"


def mixed(doc: dict[str, Any]) -> str:
    """The truth, a guess, chatter around either, a refusal, or nothing, by the question's id."""
    rng = random.Random(doc["id"])
    sample = sample_in(doc)
    truth = str(doc["answer"])
    wrong = random.Random(doc["id"] + "w").choice(["5.0-6.5", "2,3,4", "654321", "B", "yes", "no", "A"])
    said = rng.choice([truth, truth, wrong, wrong, sample.task])
    return rng.choice([said, f"The answer is {said}.", f"{said}\n", "I cannot answer that.", "", said])


def ours(cache: Path, out: Path, rows: list[dict[str, Any]], answering: Answering, *where: object) -> Path:
    """The same answers through `viubench score`."""
    lines = [json.dumps({"id": doc["id"], "response": answering(doc)}) + "\n" for doc in rows]
    (out.parent / f"{out.name}.jsonl").write_text("".join(lines))
    viubench(cache, "score", *where, "--responses", out.parent / f"{out.name}.jsonl", "--out", out, "--quiet")
    return out


def assert_equal(theirs: dict[str, dict[str, Any]], run: Path) -> None:
    """Every number lmms-eval shows is the one in results.json."""
    results = read_results(run)
    for name, result in results.tasks.items():
        row = theirs[lmms.exported_name(name)]
        told = {key: value for key, value in row.items() if "_stderr" not in key}
        expected = lmms_scoring.columns(result)
        assert told.keys() == expected.keys()
        for key, value in expected.items():
            assert told[key] == (None if value is None else pytest.approx(value, abs=1e-9)), (name, key)
    for name, suite in results.suites.items():
        assert theirs[lmms.exported_name(name)]["score"] == pytest.approx(suite.value, abs=1e-6)
