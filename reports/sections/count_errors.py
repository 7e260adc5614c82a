"""By how much counts are wrong: a histogram of the errors of a task of counting, model by model.

Example:
    >>> found = count_errors(run.by_task["viubench_count_easy"])
    >>> found.text
    'exact 62 %, too few 30 %, too many 8 %; off by 0.6 on average'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from reports.html.format import percent

REACH = 5
"""Errors beyond this many are drawn together, at the ends."""


@dataclass(frozen=True)
class CountErrors:
    """How often each error (answer minus truth) was made, over all shapes of all answered samples."""

    counts: Mapping[int, int]
    text: str


def count_errors(samples: pd.DataFrame) -> CountErrors | None:
    """The errors of the answers that are counts; None where there is none."""
    answered = samples[samples["status"] == "ok"]
    pairs = zip(answered["answer"], answered["target"], strict=True)
    errors = Counter(error for answer, target in pairs for error in _errors(answer, target))
    total = sum(errors.values())
    if not total:
        return None
    few = sum(n for error, n in errors.items() if error < 0) / total
    many = sum(n for error, n in errors.items() if error > 0) / total
    off = sum(abs(error) * n for error, n in errors.items()) / total
    parts = [f"{word} {percent(share, 0)} %" for word, share in (("too few", few), ("too many", many))]
    text = f"exact {percent(errors[0] / total, 0)} %, {', '.join(parts)}; off by {off:.1f} on average"
    return CountErrors(dict(sorted(errors.items())), text)


def _errors(answer: object, target: object) -> list[int]:
    if not isinstance(answer, list) or not isinstance(target, list) or len(answer) != len(target):
        return []
    pairs = list(zip(answer, target, strict=True))
    whole = all(isinstance(value, int) and abs(value) < 1e9 for pair in pairs for value in pair)
    return [one - two for one, two in pairs] if whole else []
