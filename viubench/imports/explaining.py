"""Why a sample's scores differ: our strict one, a published rule's, and the one in the file it was imported from.

Example:
    differences = explain(Path("runs/theirs"), "lmms-eval/videomme")
    differences.counts
    # {'all three agree': 2610, 'the rule reads an answer where none is declared': 90}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viubench.errors import ViubenchError, did_you_mean
from viubench.schema import Manifest, Record
from viubench.storage.run_dir import read_manifest, read_records

if TYPE_CHECKING:
    import pandas as pd

NEAR = 1e-6
EXCERPT = 160
AGREE = "all agree"
UNSCORED = ", the file has no score"


@dataclass(frozen=True)
class Difference:
    """One sample of which not all scores are equal; a score is in [0, 1], None where there is none."""

    task: str
    id: str
    number: int
    reason: str
    strict: float
    rule: float | None
    file: float | None
    answer: str
    extracted: str
    target: str
    status: str
    response: str
    place: str


@dataclass(frozen=True)
class Differences:
    """The differences of a run under the `rules` by task, the number of samples by reason, and the mean of each score
    over the samples that have all that are compared."""

    rules: dict[str, str]
    samples: list[Difference]
    counts: dict[str, int]
    means: dict[str, dict[str, float | None]]

    def to_frame(self) -> pd.DataFrame:
        """One row a difference."""
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.samples], columns=list(Difference.__dataclass_fields__))


def explain(path: Path, rule: str | None = None) -> Differences:
    """Every sample of a run whose scores differ; raises ViubenchError where the rule was not applied in it."""
    manifest = read_manifest(path)
    rules = {task: _rule(manifest, task, rule) for task in manifest.tasks}
    metrics = {task: _metric(manifest, task) for task in manifest.tasks}
    counts: Counter[str] = Counter()
    found, totals = [], dict[str, dict[str, list[float]]]()
    for record in read_records(path):
        one = difference(record, rules[record.task], metrics[record.task])
        counts[one.reason] += 1
        of_task = totals.setdefault(record.task, {"strict": [], "rule": [], "file": []})
        for key, value in (("strict", one.strict), ("rule", one.rule), ("file", one.file)):
            of_task[key] += [] if value is None else [value]
        if not one.reason.startswith(AGREE):
            found.append(one)
    found.sort(key=lambda one: (one.task, one.reason, one.id, one.number))
    means = {
        task: {key: sum(values) / len(values) if values else None for key, values in of_task.items()}
        for task, of_task in sorted(totals.items())
    }
    return Differences(rules, found, dict(counts.most_common()), means)


def difference(record: Record, rule: str, metric: str) -> Difference:
    """The scores of one record, and the reason why they differ."""
    strict = record.scores.get(metric, 0.0) if record.status == "ok" else 0.0
    told = record.imported
    file = told.score if told else None
    verdict = record.rules.get(rule) if rule else None
    return Difference(
        record.task,
        record.id,
        record.number,
        "; ".join(_reasons(record, strict, verdict, file, rule))
        or AGREE + UNSCORED * (file is None and told is not None),
        strict,
        verdict,
        file,
        "" if record.answer is None else str(record.answer),
        told.extracted if told else "",
        str(record.target),
        record.status,
        (record.response or "")[:EXCERPT],
        told.place if told else "",
    )


STATUS = {
    "unparsed": "no answer is declared that we read",
    "truncated": "the response was cut off",
    "refused": "the response declines",
    "media_error": "the video could not be used",
    "engine_error": "there is no response",
}


def _reasons(record: Record, strict: float, rule: float | None, file: float | None, name: str) -> Iterator[str]:
    """A sentence for each pair of scores that differ."""
    if name and record.response is not None:
        if rule is None:
            yield "the rule leaves the response out"
        elif abs(rule - strict) > NEAR:
            yield f"{_strict(record, strict)}; the rule scores it {_right(rule)}"
    if file is None:
        if record.imported is not None and not record.response:
            yield "the file has no response"
        return
    beside, what = (rule, "the rule") if name and rule is not None else (strict, "our score")
    if abs(file - beside) > NEAR:
        yield f"the file scores it {_right(file)}, {what} {_right(beside)}"


def _strict(record: Record, strict: float) -> str:
    if record.status != "ok":
        return STATUS[record.status]
    return f"we read another answer ({_right(strict)})"


def _right(score: float) -> str:
    return {0.0: "wrong", 1.0: "right"}.get(score, "in part right")


def _rule(manifest: Manifest, task: str, named: str | None) -> str:
    """The rule to compare with: the one named, or the first of the task's; "" for a task without any."""
    known = manifest.tasks[task].alternatives
    if named is None:
        return known[0] if known else ""
    if named in known:
        return named
    if len(manifest.tasks) > 1:
        return ""
    hint = did_you_mean(named, known, f"applied: {', '.join(known) or 'none'}; import again with --rule {named}")
    raise ViubenchError(f"the rule {named!r} was not applied to {task}", where="--rule", hint=hint)


def _metric(manifest: Manifest, task: str) -> str:
    """The key of the headline among a record's scores."""
    import evaluators

    spec = manifest.tasks[task].evaluator
    try:
        return evaluators.get(spec.name, **spec.params).metric
    except (LookupError, TypeError, ValueError) as error:
        raise ViubenchError(f"cannot create the evaluator of {task!r:.80}: {error}", where="manifest.json") from None


def as_json(differences: Differences) -> dict[str, Any]:
    """All of it as plain data."""
    return asdict(differences)
