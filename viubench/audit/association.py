"""Whether something of a file tells its answer: a word of its name, a tag, how much it was compressed.

Example:
    told({"w1": ["cam1"], "w2": ["cam1"], "w3": ["cam2"], "w4": ["cam2"]}, {"w1": "A", "w2": "A", "w3": "B", "w4": "B"})
    # None: two of each are too few

Every trait that some files have and others lack is tested against every answer by Fisher's exact test, and a number by
that of Kruskal and Wallis; p is multiplied by the number of tests (Bonferroni).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

ALPHA = 0.01
"""Chance that a set without any leak is called one, of each check."""

FEWEST = 4
"""Files that must have a trait, and as many that must have an answer, for the two to be compared."""

MOST_ANSWERS = 50
"""Different answers, above which each is too rare to be told by a trait."""

EFFECT = 0.1
"""Share of a number's rank variance that the answer must explain (epsilon squared)."""


@dataclass(frozen=True)
class Told:
    """A trait, the answer that it goes with, the share of files with the trait that have it, and p over all tests."""

    trait: str
    answer: str
    share: float
    p: float

    def __str__(self) -> str:
        return f"{self.trait!r}: {self.share:.0%} have {self.answer!r} (p {self.p:.1g})"


def told(traits: Mapping[str, Iterable[str]], answers: Mapping[str, str]) -> list[Told]:
    """The traits that go with an answer, the surest first; both are by file."""
    from scipy.stats import fisher_exact

    files = sorted(traits.keys() & answers.keys())
    holders: dict[str, set[str]] = {}
    for file in files:
        for trait in set(traits[file]):
            holders.setdefault(trait, set()).add(file)
    holders = {trait: own for trait, own in holders.items() if FEWEST <= len(own) <= len(files) - FEWEST}
    common = {answer: n for answer, n in Counter(answers[file] for file in files).items() if n >= FEWEST}
    if len(common) > MOST_ANSWERS:
        return []
    tests, found = max(len(holders) * len(common), 1), []
    for trait, own in holders.items():
        for answer, n in common.items():
            both = sum(answers[file] == answer for file in own)
            table = [[both, len(own) - both], [n - both, len(files) - len(own) - n + both]]
            p = min(tests * float(fisher_exact(table, "greater").pvalue), 1.0)
            if p < ALPHA:
                found.append(Told(trait, answer, both / len(own), p))
    return sorted(found, key=lambda one: (one.p, one.trait))


def number_told(values: Mapping[str, float], answers: Mapping[str, str]) -> tuple[float, float] | None:
    """p and effect of a number that differs with the answer; None where it does not, or too few files tell."""
    from scipy.stats import kruskal

    by_answer: dict[str, list[float]] = {}
    for file in sorted(values.keys() & answers.keys()):
        by_answer.setdefault(answers[file], []).append(values[file])
    groups = [own for own in by_answer.values() if len(own) >= FEWEST]
    if not 2 <= len(groups) <= MOST_ANSWERS or np.ptp(np.concatenate(groups)) == 0:
        return None
    test = kruskal(*groups)
    total = sum(map(len, groups))
    effect = float((test.statistic - len(groups) + 1) / (total - len(groups)))
    return (float(test.pvalue), effect) if test.pvalue < ALPHA and effect > EFFECT else None
