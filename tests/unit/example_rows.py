"""The example rows of the data-set tasks: read, copied, and what a way of answering scores on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import evaluators
from evaluators import Scored
from viubench.datasets import loader
from viubench.schema import Sample
from viubench.tasks.registry import BUILT_IN, Catalogue

EXAMPLES = BUILT_IN / "examples"
CATALOGUE = Catalogue()
Answering = Callable[[Sample], str]


def samples_of(name: str, root: Path = EXAMPLES) -> list[Sample]:
    return loader.read(CATALOGUE.task(name), root).samples


def score(name: str, samples: Sequence[Sample], answering: Answering) -> tuple[float, int]:
    """The headline of the task, and how many responses were unparsed."""
    task = CATALOGUE.task(name)
    grader = evaluators.get(task.evaluator.name, **task.evaluator.params)
    rows, unparsed = [], 0
    for sample in samples:
        answer = grader.parse(answering(sample), sample)
        unparsed += answer is None
        rows.append(Scored(grader.score(answer, sample) if answer else {}, sample.cluster, sample.groups))
    units = grader.units(rows)
    groups = sorted({str(unit.groups[task.average]) for unit in units}) if task.average else [""]
    means = []
    for group in groups:
        mine = [unit for unit in units if not group or unit.groups[task.average] == group]
        means.append(sum(unit.scores.get(grader.unit_metric, 0.0) for unit in mine) / len(mine))
    return sum(means) / len(means), unparsed


def copied(name: str, folder: Path) -> Path:
    """The example rows of a task in a data root of their own; gives the task's data folder."""
    task = CATALOGUE.task(name)
    data = folder / (task.data or task.task)
    shutil.copytree(EXAMPLES / data.name, data)
    return data


def content(sample: Sample) -> tuple[Any, ...]:
    """What is asked and answered, whatever the layout."""
    return sample.question, sample.options, sample.target, sample.groups


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
