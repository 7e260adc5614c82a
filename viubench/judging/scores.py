"""A run scored with a judge's verdicts, and how far the judge agrees with the rules, with labels and with itself.

Example:
    judged_tasks(Path("runs/a"), ruled, evaluators, protocols)["mvbench"].read.kappa
    # 0.94

An answer that the rules read keeps its score. One that was put to the judge has the score of the verdict; without one
it is left out, counted as a judge error, and the `bounds` say what it could change at most. What was never put to the
judge, for want of an answer, is worth 0 as by the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from evaluators import Evaluator
from viubench.judging.questions import CHECKS
from viubench.judging.rulings import Ruled, Ruling
from viubench.schema import (
    Agreement,
    JudgedScore,
    JudgedTask,
    Manifest,
    Protocol,
    ScoredRecord,
    canonical_json,
    content_hash,
)
from viubench.scoring.aggregate import rounded, summarise
from viubench.stats import agreement
from viubench.storage import record_log
from viubench.storage.record_log import Key
from viubench.storage.run_dir import read_manifest, read_results

FIRST = ("", "read")
"""The questions whose verdicts the others are compared with."""


def judged_tasks(
    run: Path,
    ruled: Ruled,
    evaluators: Mapping[str, Evaluator],
    protocols: Mapping[str, Protocol],
    labels: Mapping[str, float],
) -> dict[str, JudgedTask]:
    """The tasks of the run that a judge was asked about; `protocols` are the judge's."""
    manifest, results = read_manifest(run), read_results(run)
    main = {one.answer: ruling for one, ruling in ruled if not one.check}
    scores = _scores(run, manifest, main, evaluators, {one.task for one, _ in ruled})
    compared = {one.answer for one, _ in ruled if one.check == "read"}
    read = {_key(record): record.answer for record in _records(run, compared)}
    found: dict[str, JudgedTask] = {}
    for task in sorted({one.task for one, _ in ruled}):
        own = [(one, ruling) for one, ruling in ruled if one.task == task]
        first = [ruling for one, ruling in own if not one.check]
        errors = Counter(ruling.fault for ruling in first if ruling.fault)
        by_rules = results.tasks[task]
        found[task] = JudgedTask(
            metric=by_rules.metric,
            form=own[0][0].form.name,
            rules=None if evaluators[task].needs_judge else by_rules.value,
            judged=scores.get(task),
            n=by_rules.answers,
            asked=len(first),
            verdicts=len(first) - errors.total(),
            errors=dict(sorted(errors.items())),
            hash=content_hash([manifest.protocols[task].hash(), protocols[task].hash()]),
            labels=_labelled(own, labels, evaluators[task].metric),
            unanswered_checks=dict(Counter(one.check for one, ruling in own if one.check and ruling.fault)),
            **_checks(read, own),
        )
    return found


def _scores(
    run: Path, manifest: Manifest, main: Mapping[Key, Ruling], evaluators: Mapping[str, Evaluator], tasks: Set[str]
) -> dict[str, JudgedScore]:
    """The score of each task with the rulings."""
    alone = manifest.model_copy(update={"suites": {}})
    without = {key for key, ruling in main.items() if ruling.fault}
    lost = {_unit(record, evaluators) for record in _records(run, without)}
    known = (record for record in _ruled(run, main, evaluators, tasks, 0.0) if _unit(record, evaluators) not in lost)
    bounds = [summarise(_ruled(run, main, evaluators, tasks, worth), alone).tasks for worth in (0.0, 1.0)]
    return {
        task: JudgedScore(
            value=result.value,
            ci=result.ci,
            se=result.se,
            n=result.answers,
            bounds=(bounds[0][task].value, bounds[1][task].value),
            groups=result.groups,
        )
        for task, result in summarise(known, alone).tasks.items()
    }


def _ruled(
    run: Path, main: Mapping[Key, Ruling], evaluators: Mapping[str, Evaluator], tasks: Set[str], worth: float
) -> Iterator[ScoredRecord]:
    """The records of the judged `tasks` with the rulings in them; one without a verdict is `worth` so much."""
    for record in record_log.read(run, ScoredRecord):
        if record.task not in tasks:
            continue
        ruling = main.get(_key(record))
        if ruling is None:
            yield record
            continue
        scores = {evaluators[record.task].metric: worth} if ruling.fault else dict(ruling.scores)
        yield record.model_copy(update={"status": "ok" if scores else "unparsed", "scores": scores})


def _records(run: Path, keys: Set[Key]) -> Iterator[ScoredRecord]:
    """The records of these answers."""
    return (record for record in (record_log.read(run, ScoredRecord) if keys else ()) if _key(record) in keys)


def _key(record: ScoredRecord) -> Key:
    return record.id, record.number


def _unit(record: ScoredRecord, evaluators: Mapping[str, Evaluator]) -> tuple[str, str]:
    """What an answer counts in: its question, or all those that make a unit together."""
    paired = type(evaluators[record.task]).units is not Evaluator.units
    return record.task, record.cluster if paired else record.id


def _checks(read: Mapping[Key, Any], own: Ruled) -> dict[str, Agreement]:
    """The judge beside the rules (`read` has their answers), and beside itself."""
    said = {(one.answer, one.check): canonical_json(ruling.said) for one, ruling in own if not ruling.fault}
    first = {key: value for (key, check), value in said.items() if check in FIRST}
    found: dict[str, Agreement] = {}
    for name in CHECKS:
        others = {key: canonical_json(value) for key, value in read.items()} if name == "read" else first
        pairs = [(others[key], value) for (key, check), value in said.items() if check == name and key in others]
        if pairs:
            found[name] = agreed(pairs)
    return found


def _labelled(own: Ruled, labels: Mapping[str, float], metric: str) -> Agreement | None:
    """The scores of the verdicts beside the labels; the first answer to a question is the labelled one."""
    pairs = [
        (labels[one.answer[0]], ruling.scores.get(metric, 0.0))
        for one, ruling in own
        if one.check in FIRST and not ruling.fault and one.answer[0] in labels and not one.answer[1]
    ]
    whole = all(value in (0.0, 1.0) for pair in pairs for value in pair)
    return agreed(pairs, agreement.nominal if whole else agreement.interval) if pairs else None


def agreed(pairs: Sequence[tuple[Any, Any]], distance: agreement.Distance = agreement.nominal) -> Agreement:
    """How far two raters agree on what both rated (at least one thing)."""
    kappa = agreement.kappa(pairs, distance)
    share = agreement.accuracy(pairs)
    return Agreement(
        n=len(pairs),
        accuracy=None if share is None else rounded(share),
        kappa=None if kappa is None else rounded(kappa),
    )
