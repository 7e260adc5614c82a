"""From records to results: every sample counts, all but `ok` as wrong, and equal records give equal bytes.

Example:
    >>> results = summarise(records, manifest)
    >>> results.tasks["viubench_ground_mirror"].value
    0.306
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from evaluators import Evaluator, Scored
from evaluators.published import get_rule
from viubench.schema import (
    Counted,
    Manifest,
    ProtocolEntry,
    Record,
    Results,
    RuleResult,
    Suite,
    SuiteResult,
    TaskEntry,
    TaskResult,
    content_hash,
)
from viubench.scoring.columns import Columns, Lazy
from viubench.scoring.tally import Tally
from viubench.stats import estimates

DIGITS = 6
"""Results are rounded to this many decimals, so that they read well and do not depend on the order of a sum."""


def summarise(records: Iterable[Record | Counted], manifest: Manifest) -> Results:
    """The results of a complete run, in one pass over its records; their order does not matter."""
    tallies: dict[str, Tally] = {}
    for record in records:
        if record.task not in tallies:
            tallies[record.task] = Tally(manifest.tasks[record.task])
        tallies[record.task].add(record)
    tasks: dict[str, TaskResult] = {}
    parts: dict[str, list[estimates.Part]] = {}
    for name in sorted(tallies):
        about = manifest.tasks[name]
        tally = tallies.pop(name)
        units = Columns.of(tally.evaluator.units(tally.rows))
        parts[name] = headline_parts(units, tally.evaluator, about.average)
        tasks[name] = _task(tally, units, parts[name], about, manifest.protocols[name])
    suites = {name: _suite(suite, parts, tasks) for name, suite in sorted(manifest.suites.items())}
    return Results(model=manifest.model["name"], engine=manifest.engine["kind"], tasks=tasks, suites=suites)


def scored(record: Record) -> Scored:
    """What a record counts in the strict score: its scores when it was answered, else nothing."""
    return Scored(record.scores if record.status == "ok" else {}, record.cluster, record.groups)


def headline_parts(units: Sequence[Scored], evaluator: Evaluator, average: str = "") -> list[estimates.Part]:
    """The headline of every unit, as one part, or one part of equal weight for each value of the group `average`."""
    columns = Columns.of(units)
    scores = columns.score(evaluator.unit_metric)
    if not average:
        return [(1.0, scores, columns.clusters)]
    members = columns.labels(average).values()
    return [(1 / len(members), scores[rows], [columns.clusters[row] for row in rows.tolist()]) for rows in members]


def headline(units: Sequence[Scored], evaluator: Evaluator, average: str = "") -> float:
    """The task's headline over these units."""
    return _value(headline_parts(units, evaluator, average))


def _value(parts: Sequence[estimates.Part]) -> float:
    return float(sum(weight * np.mean(scores) for weight, scores, _ in parts))


def _task(
    tally: Tally, units: Columns, parts: Sequence[estimates.Part], about: TaskEntry, protocol: ProtocolEntry
) -> TaskResult:
    average = about.average
    estimate = estimates.weighted_mean(parts) if average else estimates.mean(*parts[0][1:])
    evaluator = tally.evaluator
    answered = evaluator.units(tally.answered())
    chance = about.chance
    macro = {f"macro_{key}": headline(units, evaluator, key) for key in units.single()}
    return TaskResult(
        metric=about.metric,
        value=_round(estimate.value),
        ci=(_round(estimate.low), _round(estimate.high)),
        se=_round(estimate.se),
        n=len(tally),
        clusters=estimate.clusters,
        statuses=tally.statuses(),
        as_published=_round(headline(answered, evaluator, average)) if answered else None,
        chance=None if chance is None else _round(chance),
        blind=None if about.blind is None else _round(about.blind),
        blind_statement=about.blind_statement,
        corrected=_round((estimate.value - chance) / (1 - chance)) if chance is not None and chance < 1 else None,
        metrics={k: _round(value) for k, value in (_metrics(units, evaluator, about.scores) | macro).items()},
        groups={
            key: {label: {"value": _round(value), "n": n} for label, (value, n) in labels.items()}
            for key, labels in units.breakdown(evaluator.unit_metric).items()
        },
        trivial=about.trivial,
        rules={name: _rule(tally, name) for name in about.alternatives} | _official(tally),
        protocol=protocol.protocol,
        protocol_hash=protocol.recorded_hash,
        items_hash=about.items_hash,
    )


def _metrics(units: Columns, evaluator: Evaluator, names: Sequence[str]) -> dict[str, float]:
    """The secondary metrics, those of `names` also where no unit has one."""
    if type(evaluator).aggregate is Evaluator.aggregate:
        means = dict.fromkeys(names, 0.0) | units.means()
        return {name: means[name] for name in sorted(means)}
    zeros = dict.fromkeys(names, 0.0)
    return evaluator.aggregate(Lazy(len(units), lambda index: zeros | units.mapping(index)))


def _rule(tally: Tally, name: str) -> RuleResult:
    """A published rule over the responses it was shown; a sample that never got one has no verdict."""
    verdicts, n = tally.verdicts(name)
    value = get_rule(name).aggregate(verdicts)
    return RuleResult(value=None if value is None else _round(value), n=n)


def _official(tally: Tally) -> dict[str, RuleResult]:
    """What the publisher's own code makes of all the responses, for an evaluator that calls it."""
    return {
        f"{tally.evaluator.name}/{name}": RuleResult(value=_round(value), n=len(tally))
        for name, value in tally.evaluator.official(tally.whole()).items()
    }


def _suite(suite: Suite, parts: Mapping[str, list[estimates.Part]], tasks: Mapping[str, TaskResult]) -> SuiteResult:
    shares = suite.shares()
    estimate = estimates.weighted_mean(
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
