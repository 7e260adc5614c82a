"""From records to results: every sample counts, all but `ok` as wrong, and equal records give equal bytes.

Example:
    >>> results = summarise(records, manifest)
    >>> results.tasks["viubench_ground_mirror"].value
    0.306
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import evaluators
from viubench import stats
from viubench.schema import (
    STATUSES,
    Manifest,
    Record,
    Results,
    Sample,
    Suite,
    SuiteResult,
    Task,
    TaskResult,
    content_hash,
)

DIGITS = 6
"""Results are rounded to this many decimals, so that they read well and do not depend on the order of a sum."""


def summarise(records: Iterable[Record], manifest: Manifest) -> Results:
    """The results of a complete run; the order of the records does not matter."""
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_task[record.task].append(record)
    for rows in by_task.values():
        rows.sort(key=lambda record: record.id)
    tasks = {name: _task(by_task[name], manifest.tasks[name], manifest.protocols[name]) for name in sorted(by_task)}
    scores = {name: headlines(rows, manifest.tasks[name]["evaluator"]) for name, rows in by_task.items()}
    suites = {
        name: _suite(suite, scores, {task: [r.cluster for r in rows] for task, rows in by_task.items()})
        for name, suite in sorted(manifest.suites.items())
    }
    return Results(model=manifest.model["name"], engine=manifest.engine["kind"], tasks=tasks, suites=suites)


def headlines(rows: Iterable[Record], evaluator: Mapping[str, Any]) -> list[float]:
    """Each sample's share of the strict score: its headline metric when answered, else 0."""
    metric = evaluators.get(evaluator["name"], **evaluator["params"]).metric
    return [record.scores[metric] if record.status == "ok" else 0.0 for record in rows]


def _task(rows: Sequence[Record], about: Mapping[str, Any], protocol: Mapping[str, Any]) -> TaskResult:
    evaluator = evaluators.get(about["evaluator"]["name"], **about["evaluator"]["params"])
    scores = headlines(rows, about["evaluator"])
    estimate = stats.mean(scores, [record.cluster for record in rows])
    answered = [score for score, record in zip(scores, rows, strict=True) if record.status == "ok"]
    chance = about["chance"]
    zeros = dict.fromkeys(about["scores"], 0.0)
    return TaskResult(
        metric=about["metric"],
        value=_round(estimate.value),
        ci=(_round(estimate.low), _round(estimate.high)),
        se=_round(estimate.se),
        n=estimate.n,
        clusters=estimate.clusters,
        statuses={s: count for s in STATUSES if (count := sum(record.status == s for record in rows))},
        as_published=_round(sum(answered) / len(answered)) if answered else None,
        chance=_round(chance),
        blind=_round(about["blind"]),
        blind_statement=about["blind_statement"],
        corrected=_round((estimate.value - chance) / (1 - chance)) if chance < 1 else None,
        metrics={k: _round(v) for k, v in evaluator.aggregate([zeros | record.scores for record in rows]).items()},
        groups=_groups(rows, scores),
        protocol=protocol["protocol"],
        protocol_hash=protocol["hash"],
        items_hash=about["items_hash"],
    )


def _groups(rows: Sequence[Record], scores: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Mean and number of samples of each group value, by group key; a sample of several values counts in each."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record, score in zip(rows, scores, strict=True):
        for key, labels in record.groups.items():
            for label in (labels,) if isinstance(labels, str) else labels:
                found[key][label].append(score)
    return {
        key: {value: {"value": _round(sum(s) / len(s)), "n": len(s)} for value, s in sorted(values.items())}
        for key, values in sorted(found.items())
    }


def _suite(suite: Suite, scores: Mapping[str, list[float]], clusters: Mapping[str, list[str]]) -> SuiteResult:
    estimate = stats.suite_mean([(scores[name], clusters[name]) for name in suite.tasks])
    means = {name: sum(scores[name]) / len(scores[name]) for name in suite.tasks}
    return SuiteResult(
        value=_round(estimate.value),
        ci=(_round(estimate.low), _round(estimate.high)),
        se=_round(estimate.se),
        tasks=suite.tasks,
        groups={name: _round(sum(means[t] for t in tasks) / len(tasks)) for name, tasks in suite.groups.items()},
    )


def items_hash(samples: Iterable[tuple[str, str]]) -> str:
    """Hash of a set of (sample id, target hash) pairs: equal sets, equal hash."""
    return content_hash(sorted(samples))


def score_names(task: Task, sample: Sample) -> list[str]:
    """Every score an answer to the task gets, read off the true one."""
    evaluator = evaluators.get(task.evaluator.name, **task.evaluator.params)
    truth = evaluator.parse(sample.answer_text, sample)
    return sorted(evaluator.score(truth, sample)) if truth else [evaluator.metric]


def blind_scores(task: Task, samples: Sequence[Sample]) -> tuple[float, float, str, dict[str, str]]:
    """What a task is worth without looking: (chance, blind score, blind statement, blind answer per sample id)."""
    evaluator = evaluators.get(task.evaluator.name, **task.evaluator.params)
    blind = evaluator.blind(samples)
    total = 0.0
    for text, sample in zip(blind.texts, samples, strict=True):
        answer = evaluator.parse(text, sample)
        total += 0.0 if answer is None else evaluator.score(answer, sample)[evaluator.metric]
    chance = sum(evaluator.chance(sample) for sample in samples) / len(samples)
    texts = {sample.id: text for sample, text in zip(samples, blind.texts, strict=True)}
    return chance, total / len(samples), blind.statement, texts


def _round(value: float) -> float:
    return round(value, DIGITS)
