"""Whether answers are balanced: the best constant one, the letters, the length of the options.

Example:
    balance(audit_set)[0].verdict   # 'clean'
"""

from __future__ import annotations

from collections import Counter

from viubench.audit.sets import AuditSet, labels
from viubench.schema import Sample
from viubench.schema.audit import AuditFinding
from viubench.scoring import baselines

ALPHA = 0.01
EXCESS = 0.05
"""Above what is expected; less is no fault, however sure it is."""

CONSTANT = 0.15
"""By which the best constant answer may score above chance, where answers are no letters."""

FEWEST = 20
"""Questions of a task, below which nothing can be said of the balance of its answers."""


def balance(own: AuditSet) -> list[AuditFinding]:
    """A finding for each task."""
    found = []
    for task in own.tasks:
        samples = [sample for sample in own.samples if sample.task == task]
        if not samples:
            continue
        known = baselines.of(own.tasks[task], samples)
        said = f"{len(samples)} questions"
        if known.blind is not None:
            chance = "" if known.chance is None else f", chance {known.chance:.1%}"
            said += f": {known.statement} scores {known.blind:.1%}{chance}"
        if len(samples) < FEWEST:
            found.append(_finding("answer balance", task, "not checked", f"{said}; too few to tell"))
            continue
        choices = [sample for sample in samples if "answer text" in labels(sample)]
        if choices:
            found += [_letters(task, choices), _longest(task, choices)]
        elif known.blind is None or known.chance is None:
            found.append(_finding("answer balance", task, "not checked", known.statement or "no constant answer"))
        else:
            fault = known.blind - known.chance > CONSTANT and known.blind > 1.5 * known.chance
            found.append(_finding("answer balance", task, "fault" if fault else "clean", said))
    return found


def _letters(task: str, samples: list[Sample]) -> AuditFinding:
    """Whether one place among the options is right too often, for the options that there are."""
    from scipy.stats import binom

    counts: Counter[int] = Counter()
    expected: Counter[int] = Counter()
    for sample in samples:
        counts[sample.options.index(_right(sample))] += 1
        expected.update(dict.fromkeys(range(len(sample.options)), 1 / len(sample.options)))
    n, worst = len(samples), max(expected, key=lambda place: counts[place] - expected[place])
    share, due = counts[worst] / n, expected[worst] / n
    p = min(len(expected) * float(binom.sf(counts[worst] - 1, n, due)), 1.0)
    fault = p < ALPHA and share - due > EXCESS
    said = f"option {worst + 1} is right in {share:.1%} of {n} questions, {due:.1%} expected"
    return _finding("answer balance", task, "fault" if fault else "clean", said)


def _longest(task: str, samples: list[Sample]) -> AuditFinding:
    """Whether the right option is the longest one too often."""
    from scipy.stats import binom

    told = [sample for sample in samples if _one_longest(sample)]
    if len(told) < FEWEST:
        return _finding("option length", task, "not checked", f"{len(told)} questions have one longest option")
    right = sum(len(_right(sample)) == max(map(len, sample.options)) for sample in told)
    due = sum(1 / len(sample.options) for sample in told) / len(told)
    share = right / len(told)
    fault = float(binom.sf(right - 1, len(told), due)) < ALPHA and share - due > EXCESS
    said = f"the longest option is right in {share:.1%} of {len(told)} questions, {due:.1%} expected"
    return _finding("option length", task, "fault" if fault else "clean", said)


def _right(sample: Sample) -> str:
    text = labels(sample)["answer text"]
    return next(option for option in sample.options if option.strip().casefold() == text)


def _one_longest(sample: Sample) -> bool:
    lengths = sorted(map(len, sample.options))
    return lengths[-1] > lengths[-2]


def _finding(check: str, where: str, verdict: str, reason: str) -> AuditFinding:
    return AuditFinding(check=check, where=where, verdict=verdict, reason=reason)  # type: ignore[arg-type]
