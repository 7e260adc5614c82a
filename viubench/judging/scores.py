"""A run scored with a judge's verdicts, and how far the judge agrees with the rules, with labels and with itself.

Example:
    judged_tasks(Path("runs/a"), asked, verdicts(folder), protocols)["mvbench"].read.kappa
    # 0.94

An answer that the rules read keeps its score. One that was put to the judge has the score of the verdict; without one
it is left out, counted as a judge error, and the `bounds` say what it could change at most. What was never put to the
judge, for want of an answer, is worth 0 as by the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evaluators
from evaluators import Answer, Evaluator, Question
from viubench.judging.forms import NONE
from viubench.judging.questions import CHECKS, Asked
from viubench.schema import (
    Agreement,
    JudgedScore,
    JudgedTask,
    Manifest,
    Protocol,
    Record,
    ScoredRecord,
    canonical_json,
    content_hash,
)
from viubench.scoring.aggregate import rounded, summarise
from viubench.stats import agreement
from viubench.storage import record_log
from viubench.storage.record_log import Key
from viubench.storage.run_dir import read_manifest, read_results

UNSEEN = (0, 0)  # span of an answer that a judge gave: it is not in the response


@dataclass(frozen=True)
class Ruling:
    """What a verdict makes of an answer: what the answer means by it (None: nothing), and its scores."""

    said: Any
    scores: Mapping[str, float]


def ruling(asked: Asked, verdict: Record | None, evaluator: Evaluator) -> Ruling | None:
    """The ruling of a verdict; None where it is a judge error or there is none."""
    if verdict is None or verdict.status != "ok":
        return None
    said = asked.meant(verdict.answer)
    item = Question(asked.target)
    if evaluator.needs_judge:
        return Ruling(said, evaluator.score(Answer(said, "judge", UNSEEN), item))
    if "correct" in said:
        return Ruling(said["correct"], {evaluator.metric: float(said["correct"])})
    if said["answer"] == NONE:
        return Ruling(None, {})
    if asked.form.lettered:
        return Ruling(said["answer"], evaluator.score(Answer(said["answer"], "judge", UNSEEN), item))
    answer = evaluator.parse(said["answer"], item)
    if answer is None:  # the judge restated what is no answer either
        return Ruling(None, {})
    return Ruling(answer.value, evaluator.score(answer, item))


def judged_tasks(
    run: Path,
    asked: Sequence[Asked],
    verdicts: Mapping[str, Record],
    protocols: Mapping[str, Protocol],
    labels: Mapping[str, float] | None = None,
) -> dict[str, JudgedTask]:
    """The tasks of the run that a judge was asked about."""
    manifest, results = read_manifest(run), read_results(run)
    graders = {
        task: evaluators.get(entry.evaluator.name, **entry.evaluator.params) for task, entry in manifest.tasks.items()
    }
    rulings = [(one, ruling(one, verdicts.get(one.key), graders[one.task])) for one in asked]
    main = {one.answer: ruled for one, ruled in rulings if not one.check}
    scores = _scores(run, manifest, main, graders)
    compared = {one.answer for one in asked if one.check == "read"}
    read = {(record.id, record.number): record.answer for record in _records(run, compared)}
    found: dict[str, JudgedTask] = {}
    for task in sorted({one.task for one in asked}):
        own = [(one, ruled) for one, ruled in rulings if one.task == task]
        first = [(one, ruled) for one, ruled in own if not one.check]
        errors = Counter(_fault(verdicts.get(one.key)) for one, ruled in first if ruled is None)
        by_rules = results.tasks[task]
        found[task] = JudgedTask(
            metric=by_rules.metric,
            form=own[0][0].form.name,
            rules=None if graders[task].needs_judge else by_rules.value,
            judged=scores.get(task),
            n=by_rules.answers,
            asked=len(first),
            verdicts=len(first) - errors.total(),
            errors=dict(sorted(errors.items())),
            hash=content_hash([manifest.protocols[task].hash(), protocols[task].hash()]),
            labels=_labelled(own, labels or {}, graders[task].metric),
            unanswered_checks=dict(Counter(one.check for one, ruled in own if one.check and ruled is None)),
            **_checks(read, own),
        )
    return found


def _records(run: Path, keys: Set[Key]) -> Iterator[ScoredRecord]:
    """The records of these answers."""
    return (record for record in record_log.read(run, ScoredRecord) if keys and (record.id, record.number) in keys)


def _fault(verdict: Record | None) -> str:
    return verdict.error.fault if verdict is not None and verdict.error is not None else "none"


def _scores(
    run: Path, manifest: Manifest, main: Mapping[Key, Ruling | None], graders: Mapping[str, Evaluator]
) -> dict[str, JudgedScore]:
    """The score of each task with the rulings."""
    alone = manifest.model_copy(update={"suites": {}})
    lost = _lost(run, main, graders)
    known = summarise(_ruled(run, main, graders, lost=lost), alone).tasks
    bounds = [summarise(_ruled(run, main, graders, worth=worth), alone).tasks for worth in (0.0, 1.0)]
    return {
        task: JudgedScore(
            value=result.value,
            ci=result.ci,
            se=result.se,
            n=result.answers,
            bounds=(bounds[0][task].value, bounds[1][task].value),
            groups=result.groups,
        )
        for task, result in known.items()
    }


def _ruled(
    run: Path,
    main: Mapping[Key, Ruling | None],
    graders: Mapping[str, Evaluator],
    *,
    lost: Set[tuple[str, str]] = frozenset(),
    worth: float | None = None,
) -> Iterator[ScoredRecord]:
    """The records of a run with the rulings in them. One without a verdict is left out, with all of its unit (`lost`),
    or is worth as much as is said."""
    for record in record_log.read(run, ScoredRecord):
        key = (record.id, record.number)
        if _unit(record, graders) in lost:
            continue
        if key not in main:
            yield record
        elif (ruled := main[key]) is not None:
            status = "ok" if ruled.scores else "unparsed"
            yield record.model_copy(update={"status": status, "scores": dict(ruled.scores)})
        elif worth is not None:
            yield record.model_copy(update={"status": "ok", "scores": {graders[record.task].metric: worth}})


def _lost(run: Path, main: Mapping[Key, Ruling | None], graders: Mapping[str, Evaluator]) -> set[tuple[str, str]]:
    """The units one of whose answers has no verdict."""
    without = {key for key, ruled in main.items() if ruled is None}
    return {_unit(record, graders) for record in _records(run, without)}


def _unit(record: ScoredRecord, graders: Mapping[str, Evaluator]) -> tuple[str, str]:
    """What an answer counts in: its question, or all those that make a unit together."""
    paired = type(graders[record.task]).units is not Evaluator.units
    return record.task, record.cluster if paired else record.id


def _checks(read: Mapping[Key, Any], own: Sequence[tuple[Asked, Ruling | None]]) -> dict[str, Agreement]:
    """The judge beside the rules (`read` has their answers), and beside itself."""
    said = {(one.answer, one.check): _plain(ruled.said) for one, ruled in own if ruled is not None}
    first = {key: value for (key, check), value in said.items() if check in ("", "read")}
    found: dict[str, Agreement] = {}
    for check in CHECKS:
        others = {key: _plain(value) for key, value in read.items()} if check == "read" else first
        pairs = [
            (others[key], value) for (key, own_check), value in said.items() if own_check == check and key in others
        ]
        if pairs:
            found[check] = agreed(pairs)
    return found


def _labelled(own: Sequence[tuple[Asked, Ruling | None]], labels: Mapping[str, float], metric: str) -> Agreement | None:
    """The scores of the verdicts beside labels."""
    pairs = [
        (labels[one.answer[0]], ruled.scores.get(metric, 0.0))
        for one, ruled in own
        if one.check in ("", "read") and ruled is not None and one.answer[0] in labels and not one.answer[1]
    ]
    whole = all(value in (0.0, 1.0) for pair in pairs for value in pair)
    return agreed(pairs, agreement.nominal if whole else agreement.interval) if pairs else None


def agreed(pairs: Sequence[tuple[Any, Any]], distance: agreement.Distance = agreement.nominal) -> Agreement:
    """How far two raters agree on what both rated."""
    kappa = agreement.kappa(pairs, distance)
    return Agreement(
        n=len(pairs),
        accuracy=rounded(agreement.accuracy(pairs) or 0.0),
        kappa=None if kappa is None else rounded(kappa),
    )


def _plain(value: Any) -> str:
    """A value to count by."""
    return canonical_json(value)
