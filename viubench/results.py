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
from evaluators import Evaluator, Scored
from evaluators.published import Verdict, get_rule
from viubench import stats
from viubench.schema import (
    STATUSES,
    Manifest,
    Record,
    Results,
    RuleResult,
    Suite,
    SuiteResult,
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
    tasks: dict[str, TaskResult] = {}
    parts: dict[str, list[stats.Part]] = {}
    for name in sorted(by_task):
        about = manifest.tasks[name]
        rows = sorted(by_task[name], key=lambda record: record.id)
        evaluator = evaluators.get(about["evaluator"]["name"], **about["evaluator"]["params"])
        units = evaluator.units([scored(record) for record in rows])
        parts[name] = headline_parts(units, evaluator, about.get("average", ""))
        tasks[name] = _task(rows, units, parts[name], evaluator, about, manifest.protocols[name])
    suites = {name: _suite(suite, parts, tasks) for name, suite in sorted(manifest.suites.items())}
    return Results(model=manifest.model["name"], engine=manifest.engine["kind"], tasks=tasks, suites=suites)


def scored(record: Record) -> Scored:
    """What a record counts in the strict score: its scores when it was answered, else nothing."""
    return Scored(record.scores if record.status == "ok" else {}, record.cluster, record.groups)


def headline_parts(units: Sequence[Scored], evaluator: Evaluator, average: str = "") -> list[stats.Part]:
    """The headline of every unit, as one part, or one part of equal weight for each value of the group `average`."""
    found: dict[Any, tuple[list[float], list[str]]] = defaultdict(lambda: ([], []))
    for unit in units:
        scores, clusters = found[unit.groups[average] if average else ""]
        scores.append(unit.scores.get(evaluator.unit_metric, 0.0))
        clusters.append(unit.cluster)
    return [(1 / len(found), scores, clusters) for _, (scores, clusters) in sorted(found.items())]


def headline(units: Sequence[Scored], evaluator: Evaluator, average: str = "") -> float:
    """The task's headline over these units."""
    return _value(headline_parts(units, evaluator, average))


def _value(parts: Sequence[stats.Part]) -> float:
    return sum(weight * sum(scores) / len(scores) for weight, scores, _ in parts)


def _task(
    rows: Sequence[Record],
    units: Sequence[Scored],
    parts: Sequence[stats.Part],
    evaluator: Evaluator,
    about: Mapping[str, Any],
    protocol: Mapping[str, Any],
) -> TaskResult:
    average = about.get("average", "")
    estimate = stats.weighted_mean(parts) if average else stats.mean(*parts[0][1:])
    answered = evaluator.units([scored(record) for record in rows if record.status == "ok"])
    chance = about["chance"]
    zeros = dict.fromkeys(about["scores"], 0.0)
    metrics = evaluator.aggregate([zeros | dict(unit.scores) for unit in units])
    return TaskResult(
        metric=about["metric"],
        value=_round(estimate.value),
        ci=(_round(estimate.low), _round(estimate.high)),
        se=_round(estimate.se),
        n=len(rows),
        clusters=estimate.clusters,
        statuses={s: count for s in STATUSES if (count := sum(record.status == s for record in rows))},
        as_published=_round(headline(answered, evaluator, average)) if answered else None,
        chance=None if chance is None else _round(chance),
        blind=None if about["blind"] is None else _round(about["blind"]),
        blind_statement=about["blind_statement"],
        corrected=_round((estimate.value - chance) / (1 - chance)) if chance is not None and chance < 1 else None,
        metrics={key: _round(value) for key, value in (metrics | _macro(units, evaluator)).items()},
        groups=_groups(units, evaluator),
        trivial=about.get("trivial", {}),
        rules={name: _rule(rows, name) for name in about.get("alternatives", ())} | _official(rows, evaluator),
        protocol=protocol["protocol"],
        protocol_hash=protocol["hash"],
        items_hash=about["items_hash"],
    )


def _rule(rows: Sequence[Record], name: str) -> RuleResult:
    """A published rule over the responses it was shown; a sample that never got one has no verdict."""
    seen = [Verdict(row.rules.get(name), row.cluster, row.groups) for row in rows]
    value = get_rule(name).aggregate(seen)
    return RuleResult(value=None if value is None else _round(value), n=sum(v.value is not None for v in seen))


def _official(rows: Sequence[Record], evaluator: Evaluator) -> dict[str, RuleResult]:
    """What the publisher's own code makes of all the responses, for an evaluator that calls it."""
    return {
        f"{evaluator.name}/{name}": RuleResult(value=_round(value), n=len(rows))
        for name, value in evaluator.official(rows).items()
    }


def _macro(units: Sequence[Scored], evaluator: Evaluator) -> dict[str, float]:
    """Mean of the group means, for every group key of which each unit has one value."""
    keys = sorted({key for unit in units for key in unit.groups})
    single = [key for key in keys if all(isinstance(unit.groups.get(key), str) for unit in units)]
    return {f"macro_{key}": headline(units, evaluator, key) for key in single}


def _groups(units: Sequence[Scored], evaluator: Evaluator) -> dict[str, dict[str, Any]]:
    """Mean and number of units of each group value, by group key; a unit of several values counts in each."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        for key, labels in unit.groups.items():
            for label in (labels,) if isinstance(labels, str) else labels:
                found[key][label].append(unit.scores.get(evaluator.unit_metric, 0.0))
    return {
        key: {value: {"value": _round(sum(s) / len(s)), "n": len(s)} for value, s in sorted(values.items())}
        for key, values in sorted(found.items())
    }


def _suite(suite: Suite, parts: Mapping[str, list[stats.Part]], tasks: Mapping[str, TaskResult]) -> SuiteResult:
    shares = suite.shares()
    estimate = stats.weighted_mean(
        [(share * weight, scores, ids) for name, share in shares.items() for weight, scores, ids in parts[name]]
    )
    return SuiteResult(
        value=_round(estimate.value),
        ci=(_round(estimate.low), _round(estimate.high)),
        se=_round(estimate.se),
        tasks=suite.tasks,
        groups={
            name: _round(sum(_value(parts[task]) for task in members) / len(members))
            for name, members in suite.groups.items()
        },
    )


def items_hash(samples: Iterable[tuple[str, str]]) -> str:
    """Hash of a set of (sample id, target hash) pairs: equal sets, equal hash."""
    return content_hash(sorted(samples))


def _round(value: float) -> float:
    return round(value, DIGITS)
