"""From records to results: every sample counts, all but `ok` as wrong, and equal records give equal bytes.

Example:
    results = summarise(records, manifest)
    results.tasks["viubench_ground_mirror"].value
    # 0.306
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

import evaluators
from evaluators import Evaluator, Scored
from evaluators.published import RuleVerdict, get_rule
from viubench.schema import (
    STATUSES,
    Manifest,
    ProtocolEntry,
    Record,
    Results,
    RuleResult,
    ScoredRecord,
    Suite,
    SuiteResult,
    TaskEntry,
    TaskResult,
    content_hash,
)
from viubench.scoring.frame import TaskRows, keyed, mappings, scored_rows, scores_frame
from viubench.stats import estimates

DIGITS = 6
"""Results are rounded to this many decimals, so that they read well and do not depend on the order of a sum."""


def summarise(records: Iterable[Record | ScoredRecord], manifest: Manifest) -> Results:
    """The results of a complete run, in one pass over its records; their order does not matter."""
    rows: dict[str, TaskRows] = {}
    whole: dict[str, list[Record | ScoredRecord]] = {}
    graders: dict[str, Evaluator] = {}
    for record in records:
        task = record.task
        if task not in rows:
            spec = manifest.tasks[task].evaluator
            rows[task], graders[task] = TaskRows(), evaluators.get(spec.name, **spec.params)
            if type(graders[task]).official is not Evaluator.official:
                whole[task] = []
        rows[task].add(record)
        if task in whole:
            whole[task].append(record)
    tasks: dict[str, TaskResult] = {}
    parts: dict[str, list[estimates.Part]] = {}
    for name in sorted(rows):
        frame, evaluator, entry = rows.pop(name).frame(), graders[name], manifest.tasks[name]
        units = units_frame(frame, evaluator)
        parts[name] = headline_parts(units, evaluator, entry.average)
        official = evaluator.official(sorted(whole.pop(name, ()), key=lambda record: record.id))
        rules = {rule: _rule(frame, rule) for rule in entry.alternatives} | {
            f"{evaluator.name}/{key}": RuleResult(value=rounded(value), n=len(frame)) for key, value in official.items()
        }
        tasks[name] = _task(frame, units, parts[name], evaluator, entry, manifest.protocols[name], rules)
    suites = {name: _suite(suite, parts, tasks) for name, suite in sorted(manifest.suites.items())}
    return Results(model=manifest.model["name"], engine=manifest.engine["kind"], tasks=tasks, suites=suites)


def scored(record: Record) -> Scored:
    """What a record counts in the strict score: its scores when it was answered, else nothing."""
    return Scored(record.scores if record.status == "ok" else {}, record.cluster, record.groups)


def units_of(records: Iterable[Record], evaluator: Evaluator) -> pd.DataFrame:
    """What the headline over these records is the mean of (see `scores_frame`); they are ordered by id."""
    return scores_frame(evaluator.units([scored(record) for record in records]))


def score_of(units: pd.DataFrame, metric: str) -> estimates.Floats:
    """[N] one score of each unit, 0 where it has none."""
    column = f"score.{metric}"
    return units[column].fillna(0.0).to_numpy(np.float64) if column in units else np.zeros(len(units))


def headline_parts(units: pd.DataFrame, evaluator: Evaluator, average: str = "") -> list[estimates.Part]:
    """The headline of every unit, as one part, or one part of equal weight for each value of the group `average`.

    Raises:
        KeyError: a unit has no such group.
    """
    scores = score_of(units, evaluator.unit_metric)
    codes, names = pd.factorize(units["cluster"])
    clusters = np.asarray(names, dtype=object)[codes]  # equal ones are one object
    if not average:
        return [(1.0, scores, clusters.tolist())]
    groups = units[f"group.{average}"]
    if groups.isna().any():
        raise KeyError(average)
    members = [places for _, places in sorted(groups.groupby(groups).indices.items())]
    return [(1 / len(members), scores[places], clusters[places].tolist()) for places in members]


def headline(units: pd.DataFrame, evaluator: Evaluator, average: str = "") -> float:
    """The task's headline over these units."""
    return value_of(headline_parts(units, evaluator, average))


def value_of(parts: Sequence[estimates.Part]) -> float:
    """The weighted mean of a headline's parts."""
    return float(sum(weight * np.mean(scores) for weight, scores, _ in parts))


def labelled(units: pd.DataFrame, column: str) -> pd.Series[Any]:
    """The values of a group by the unit's place; a unit of several values is in it once for each."""
    return units[column].reset_index(drop=True).explode().dropna()


def units_frame(frame: pd.DataFrame, evaluator: Evaluator) -> pd.DataFrame:
    """The units of a frame: its own rows, unless the evaluator makes one of several."""
    if type(evaluator).units is Evaluator.units:
        return frame
    return scores_frame(evaluator.units(scored_rows(frame)))


def _task(
    frame: pd.DataFrame,
    units: pd.DataFrame,
    parts: Sequence[estimates.Part],
    evaluator: Evaluator,
    entry: TaskEntry,
    protocol: ProtocolEntry,
    rules: dict[str, RuleResult],
) -> TaskResult:
    average, chance = entry.average, entry.chance
    estimate = estimates.weighted_mean(parts) if average else estimates.mean(*parts[0][1:])
    statuses = frame["status"].value_counts().to_dict()
    answered = units_frame(frame[frame["status"] == "ok"], evaluator)
    macro = {f"macro_{key}": headline(units, evaluator, key) for key in _single(units)}
    return TaskResult(
        metric=entry.metric,
        value=rounded(estimate.value),
        ci=(rounded(estimate.low), rounded(estimate.high)),
        se=rounded(estimate.se),
        n=len(frame),
        clusters=estimate.clusters,
        statuses={status: int(statuses[status]) for status in STATUSES if status in statuses},
        as_published=rounded(headline(answered, evaluator, average)) if len(answered) else None,
        chance=None if chance is None else rounded(chance),
        blind=None if entry.blind is None else rounded(entry.blind),
        blind_statement=entry.blind_statement,
        corrected=rounded((estimate.value - chance) / (1 - chance)) if chance is not None and chance < 1 else None,
        metrics={k: rounded(value) for k, value in (_metrics(units, evaluator, entry.scores) | macro).items()},
        groups=_breakdown(units, evaluator.unit_metric),
        trivial=entry.trivial,
        rules=rules,
        protocol=protocol.protocol,
        protocol_hash=protocol.recorded_hash,
        items_hash=entry.items_hash,
    )


def _metrics(units: pd.DataFrame, evaluator: Evaluator, names: Sequence[str]) -> dict[str, float]:
    """The secondary metrics, those of `names` also where no unit has one."""
    keys = sorted({*names, *keyed(units, "score.")})
    scores = pd.DataFrame({key: score_of(units, key) for key in keys})
    if type(evaluator).aggregate is Evaluator.aggregate:
        return {key: float(scores[key].mean()) for key in keys}
    rows = scores.itertuples(index=False, name=None)
    return evaluator.aggregate([dict(zip(keys, row, strict=True)) for row in rows])


def _single(units: pd.DataFrame) -> list[str]:
    """The group keys of which every unit has one value."""
    return [
        key
        for key, column in keyed(units, "group.").items()
        if all(isinstance(value, str) for value in units[column].unique())
    ]


def _breakdown(units: pd.DataFrame, metric: str) -> dict[str, dict[str, Any]]:
    """Mean of a score and number of units, by group key and value; a unit of several values counts in each."""
    scores = pd.Series(score_of(units, metric))
    groups: dict[str, dict[str, Any]] = {}
    for key, column in keyed(units, "group.").items():
        labels = labelled(units, column)
        means = scores.loc[labels.index].groupby(labels.to_numpy()).agg(["mean", "size"])
        groups[key] = {label: {"value": rounded(value), "n": int(n)} for label, value, n in means.itertuples()}
    return groups


def _rule(frame: pd.DataFrame, name: str) -> RuleResult:
    """A published rule over the responses it was given; a sample without a response has no verdict."""
    values = frame.reindex(columns=[f"rule.{name}"]).iloc[:, 0].astype(float)
    known = values.notna()
    verdicts = [
        RuleVerdict(value if has else None, cluster, groups)
        for value, has, cluster, groups in zip(values, known, frame["cluster"], mappings(frame, "group."), strict=True)
    ]
    value = get_rule(name).aggregate(verdicts)
    return RuleResult(value=None if value is None else rounded(value), n=int(known.sum()))


def _suite(suite: Suite, parts: Mapping[str, list[estimates.Part]], tasks: Mapping[str, TaskResult]) -> SuiteResult:
    shares = suite.shares()
    estimate = estimates.weighted_mean(
        [(share * weight, scores, ids) for name, share in shares.items() for weight, scores, ids in parts[name]]
    )
    return SuiteResult(
        value=rounded(estimate.value),
        ci=(rounded(estimate.low), rounded(estimate.high)),
        se=rounded(estimate.se),
        tasks=suite.tasks,
        groups={
            name: rounded(sum(value_of(parts[task]) for task in members) / len(members))
            for name, members in suite.groups.items()
        },
    )


def items_hash(samples: Iterable[tuple[str, str]]) -> str:
    """Hash of a set of (sample id, target hash) pairs: equal sets, equal hash."""
    return content_hash(sorted(samples))


def rounded(value: float) -> float:
    """To `DIGITS` decimals, as everything that is written."""
    return round(value, DIGITS)
