"""What the exported tasks call from inside lmms-eval: the videos, the prompts, the scores.

Example: an exported folder's rows, as lmms-eval reads them.
    values = [process_results(doc, ["3.0-8.0"], folder) for doc in docs]
    aggregate([value["score"] for value in values], folder)
    # 0.412

Answers are graded and aggregated as by `viubench score`, so the numbers are those of `results.json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import evaluators
from evaluators.published import get_rule
from viubench.engines import prompts
from viubench.engines.base import Response
from viubench.runner.pipeline import graded
from viubench.runner.plan import Plan
from viubench.schema import Manifest, Record, Sample, TaskResult
from viubench.scoring.aggregate import summarise
from viubench.video.discover import PICTURE_SUFFIXES

HEADLINE = "score"  # of every task under one name, so that a group can average it

MANIFEST = "export.json"
_FRONT = re.compile(rf"(?:\s*{prompts.MARK})+\s*")
KEPT = {"task", "id", "cluster", "status", "scores", "rules", "groups"}  # fields of a record that the summary needs


def visuals(doc: Mapping[str, Any], folder: Path) -> list[Any]:
    """The videos of a question in order, absolute paths; pictures opened, as models without messages want them."""
    from PIL import Image

    shown: list[Any] = []
    for name in doc["media"]:
        if Path(name).suffix.lower() in PICTURE_SUFFIXES:
            with Image.open(folder / name) as picture:
                shown.append(picture.convert("RGB"))
        else:
            shown.append(str(folder / name))
    return shown


def text(doc: Mapping[str, Any]) -> str:
    """The question for models that put all videos first: marks at the front go, later ones become "(video 2)"."""
    question = str(doc["question"])
    front = _FRONT.match(question)
    leading = front[0].count(prompts.MARK) if front else 0
    rest = question[front.end() :] if front else question
    for number in range(leading + 1, len(doc["media"]) + 1):
        rest = rest.replace(prompts.MARK, f"(video {number})", 1)
    return prompts.neutralise(rest)


def messages(doc: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """One user turn with every video where the question marks its place, for models that take messages."""
    names = doc["media"]
    stills = {place for place, name in enumerate(names) if Path(name).suffix.lower() in PICTURE_SUFFIXES}
    files = iter(names)
    content = [
        part if part["type"] == "text" else {"type": part["type"], "url": str(folder / next(files))}
        for part in prompts.parts(str(doc["question"]), len(names), stills=stills)
    ]
    return [{"role": "user", "content": content}]


def process_results(doc: Mapping[str, Any], results: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Grade one answer (`results` is a list of one text): for every metric of the task what `aggregate` needs, and in
    the headline the sample's score."""
    manifest, plan = exported(folder)
    sample = Sample.from_json(doc["sample"])
    record = graded(sample, Response(results[0]), plan, None, {})
    kept = record.model_dump(mode="json", include=KEPT)
    columns = manifest.tasks[sample.task].columns
    values: dict[str, dict[str, Any]] = {name: {"metric": name, "record": kept} for name in columns}
    score = record.scores.get(plan.evaluators[sample.task].metric, 0.0)
    values[HEADLINE] |= {"score": score, "cluster": sample.cluster}
    return values


def aggregate(values: Sequence[Mapping[str, Any]], folder: Path) -> float | None:
    """One metric of one task over all its answers: the number `results.json` holds; None (N/A) where it has none."""
    manifest, _ = exported(folder)
    records = [Record.model_validate(value["record"]) for value in values]
    alone = manifest.model_copy(update={"suites": {}})
    return columns(summarise(records, alone).tasks[records[0].task])[values[0]["metric"]]


def columns(result: TaskResult) -> dict[str, float | None]:
    """The numbers of a task that lmms-eval shows: the headline, the secondary metrics, the published rules."""
    rules = {f"rule_{name}": rule.value for name, rule in result.rules.items()}
    return {HEADLINE: result.value, **result.metrics, "as_published": result.as_published, **rules}


@lru_cache(maxsize=8)
def exported(folder: Path) -> tuple[Manifest, Plan]:
    """The manifest of an exported folder, and the evaluators and rules it names."""
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    return manifest, plan_of(manifest)


def plan_of(manifest: Manifest) -> Plan:
    """How answers to the tasks of a manifest are graded; it has no samples."""
    tasks = manifest.tasks.items()
    chosen = {name: evaluators.get(about.evaluator.name, **about.evaluator.params) for name, about in tasks}
    return Plan([], {}, chosen, {}, {name: tuple(map(get_rule, about.alternatives)) for name, about in tasks})
