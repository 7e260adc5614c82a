"""From records to results: every sample counts, all but `ok` as wrong, and equal records give equal bytes.

Of several answers to a question the mean counts; intervals, differences and breakdowns are of these means.

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
    AnswerSpread,
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
from viubench.scoring.frame import TaskRows, averaged, keyed, mappings, scored_rows, scores_frame, voted
from viubench.stats import estimates, several

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
            rows[task] = TaskRows(several=manifest.protocols[task].decoding.samples > 1)
            graders[task] = evaluators.get(spec.name, **spec.params)
            if type(graders[task]).official is not Evaluator.official:
                whole[task] = []
        rows[task].add(record)
        if task in whole:
            whole[task].append(record)
    tasks: dict[str, TaskResult] = {}
    parts: dict[str, list[estimates.Part]] = {}
    for name in sorted(rows):
        frame, evaluator, entry = rows.pop(name).frame(), graders[name], manifest.tasks[name]
        by_number = [units_frame(answers, evaluator) for answers in numbered(frame)]
        units = averaged(by_number)
        parts[name] = headline_parts(units, evaluator, entry.average)
        rules = {rule: _rule(frame, rule) for rule in entry.alternatives} | _official(whole.pop(name, ()), evaluator)
        result = _task(frame, by_number, units, parts[name], evaluator, entry, manifest.protocols[name], rules)
        tasks[name] = result.model_copy(update=_several(frame, by_number, units, evaluator, entry.average))
    suites = {name: _suite(suite, parts, tasks) for name, suite in sorted(manifest.suites.items())}
    return Results(model=manifest.model["name"], engine=manifest.engine["kind"], tasks=tasks, suites=suites)


def scored(record: Record) -> Scored:
    """What a record counts in the strict score: its scores when it was answered, else nothing."""
    return Scored(record.scores if record.status == "ok" else {}, record.cluster, record.groups)


def units_of(records: Iterable[Record], evaluator: Evaluator) -> pd.DataFrame:
    """What the headline over these records is the mean of (see `scores_frame`); they are ordered by id. Of several
    answers to a question it has the mean scores; ValueError where a question lacks one that another has."""
    by_number: dict[int, list[Scored]] = {}
    for record in records:
        by_number.setdefault(record.number, []).append(scored(record))
    return averaged(
        [scores_frame(evaluator.units(by_number[number])) for number in sorted(by_number)]
        or [scores_frame(evaluator.units([]))]
    )


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


def numbered(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The first answers to all questions, the second ones, and so on; the whole frame where each has one."""
    if "number" not in frame:
        return [frame]
    return [answers.reset_index(drop=True) for _, answers in frame.groupby("number")]


def _several(
    frame: pd.DataFrame, by_number: Sequence[pd.DataFrame], units: pd.DataFrame, evaluator: Evaluator, average: str
) -> dict[str, Any]:
    """What a result says of several answers to each question; nothing where each has one."""
    if len(by_number) == 1:
        return {}
    column = f"score.{evaluator.unit_metric}"
    scores = np.stack([score_of(own, evaluator.unit_metric) for own in by_number], axis=1)
    between, within = several.components(scores)
    return {
        "samples": len(by_number),
        "spread": AnswerSpread(between=rounded(between), within=rounded(within)),
        "pass_at_k": {
            k: rounded(headline(units.assign(**{column: several.best_of(scores, k)}), evaluator, average))
            for k in several.ks(len(by_number))
        },
        "vote": rounded(headline(units_frame(voted(frame), evaluator), evaluator, average)),
    }


def _task(
    frame: pd.DataFrame,
    by_number: Sequence[pd.DataFrame],
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
    answered = [units_frame(answers[answers["status"] == "ok"], evaluator) for answers in numbered(frame)]
    published = [headline(own, evaluator, average) for own in answered if len(own)]
    metrics = [_metrics(own, evaluator, entry.scores) for own in by_number]
    keys = dict.fromkeys(key for own in metrics for key in own)
    groups = _breakdown(units, evaluator.unit_metric)
    macro = {f"macro_{key}": _macro(units, evaluator, key, groups[key]) for key in _whole(units)}
    return TaskResult(
        metric=entry.metric,
        value=rounded(estimate.value),
        ci=(rounded(estimate.low), rounded(estimate.high)),
        interval=estimate.interval,
        se=rounded(estimate.se),
        n=len(frame) // len(by_number),
        clusters=estimate.clusters,
        statuses={status: int(statuses[status]) for status in STATUSES if status in statuses},
        as_published=rounded(_mean(published)) if published else None,
        chance=None if chance is None else rounded(chance),
        blind=None if entry.blind is None else rounded(entry.blind),
        blind_statement=entry.blind_statement,
        corrected=rounded((estimate.value - chance) / (1 - chance)) if chance is not None and chance < 1 else None,
        metrics={key: rounded(_mean([own.get(key, 0.0) for own in metrics])) for key in keys}
        | {key: rounded(value) for key, value in macro.items()},
        groups=groups,
        trivial=entry.trivial,
        rules=rules,
        protocol=protocol.protocol,
        protocol_hash=protocol.recorded_hash,
        items_hash=entry.items_hash,
        needs_judge=evaluator.needs_judge,
    )


def _metrics(units: pd.DataFrame, evaluator: Evaluator, names: Sequence[str]) -> dict[str, float]:
    """The secondary metrics, those of `names` also where no unit has one."""
    keys = sorted({*names, *keyed(units, "score.")})
    scores = pd.DataFrame({key: score_of(units, key) for key in keys})
    if type(evaluator).aggregate is Evaluator.aggregate:
        return {key: float(scores[key].mean()) for key in keys}
    rows = scores.itertuples(index=False, name=None)
    return evaluator.aggregate([dict(zip(keys, row, strict=True)) for row in rows])


def _whole(units: pd.DataFrame) -> list[str]:
    """The group keys of which every unit has a value, or several."""
    return [
        key
        for key, column in keyed(units, "group.").items()
        if all(isinstance(value, str) or (isinstance(value, tuple) and value) for value in units[column].unique())
    ]


def _macro(units: pd.DataFrame, evaluator: Evaluator, key: str, groups: Mapping[str, Mapping[str, float]]) -> float:
    """The mean of the means of a group; a unit of several values counts in each."""
    if units[f"group.{key}"].map(lambda value: isinstance(value, tuple)).any():
        return _mean([group["value"] for group in groups.values()])
    return headline(units, evaluator, key)


def _breakdown(units: pd.DataFrame, metric: str) -> dict[str, dict[str, Any]]:
    """Mean of a score and number of units, by group key and value; a unit of several values counts in each."""
    scores = pd.Series(score_of(units, metric))
    groups: dict[str, dict[str, Any]] = {}
    for key, column in keyed(units, "group.").items():
        labels = labelled(units, column)
        means = scores.loc[labels.index].groupby(labels.to_numpy()).agg(["mean", "size"])
        groups[key] = {label: {"value": rounded(value), "n": int(n)} for label, value, n in means.itertuples()}
    return groups


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _official(records: Iterable[Record | ScoredRecord], evaluator: Evaluator) -> dict[str, RuleResult]:
    """The numbers of the publisher's own code, over the first answers to all questions, the second ones, and so on."""
    by_number: dict[int, list[Record | ScoredRecord]] = {}
    for record in sorted(records, key=lambda record: record.id):
        by_number.setdefault(record.number, []).append(record)
    found = [evaluator.official(own) for own in by_number.values()]
    return {
        f"{evaluator.name}/{key}": RuleResult(
            value=rounded(_mean([own[key] for own in found])), n=len(by_number[min(by_number)])
        )
        for key in (found[0] if found else ())
    }


def _rule(frame: pd.DataFrame, name: str) -> RuleResult:
    """A published rule over the responses it was given, the mean over several answers to each question; a sample
    without a response has no verdict, and is not among the `n`."""
    found = [_rule_once(answers, name) for answers in numbered(frame)]
    values = [value for value, _ in found if value is not None]
    return RuleResult(value=rounded(_mean(values)) if values else None, n=round(_mean([known for _, known in found])))


def _rule_once(frame: pd.DataFrame, name: str) -> tuple[float | None, int]:
    values = frame.reindex(columns=[f"rule.{name}"]).iloc[:, 0].astype(float)
    known = values.notna()
    verdicts = [
        RuleVerdict(value if has else None, cluster, groups)
        for value, has, cluster, groups in zip(values, known, frame["cluster"], mappings(frame, "group."), strict=True)
    ]
    return get_rule(name).aggregate(verdicts), int(known.sum())


def _suite(suite: Suite, parts: Mapping[str, list[estimates.Part]], tasks: Mapping[str, TaskResult]) -> SuiteResult:
    shares = suite.shares()
    estimate = estimates.weighted_mean(
        [(share * weight, scores, ids) for name, share in shares.items() for weight, scores, ids in parts[name]]
    )
    return SuiteResult(
        value=rounded(estimate.value),
        ci=(rounded(estimate.low), rounded(estimate.high)),
        interval=estimate.interval,
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
