"""By how much counts are wrong: a histogram of the errors of a task of counting, model by model.

Example:
    count_errors(run.by_task["viubench_count_easy"])
    # ({-1: 30, 0: 62, 1: 8}, 'exact 62 %, too few 30 %, too many 8 %; off by 0.6 on average')
"""

from __future__ import annotations

from collections import Counter

import pandas as pd

from reports.data.samples import each
from reports.html.format import percent


def count_errors(samples: pd.DataFrame) -> tuple[dict[int, int], str] | None:
    """How often each error (answer minus truth) was made, over all shapes of all answered samples, and a sentence about
    it; None where no answer is a count."""
    answered = samples[samples["status"] == "ok"]
    pairs = zip(each(answered["answer"], _whole), each(answered["target"], _whole), strict=True)
    alike = (zip(answer, target, strict=True) for answer, target in pairs if len(answer) == len(target))
    errors = Counter(one - two for pair in alike for one, two in pair)
    total = sum(errors.values())
    if not total:
        return None
    few = sum(n for error, n in errors.items() if error < 0) / total
    many = sum(n for error, n in errors.items() if error > 0) / total
    off = sum(abs(error) * n for error, n in errors.items()) / total
    parts = [f"{word} {percent(share, 0)} %" for word, share in (("too few", few), ("too many", many))]
    text = f"exact {percent(errors[0] / total, 0)} %, {', '.join(parts)}; off by {off:.1f} on average"
    return dict(sorted(errors.items())), text


def _whole(value: object) -> list[int]:
    """The counts in an answer; none where it is something else."""
    counts = value if isinstance(value, list) else []
    return counts if all(isinstance(count, int) and abs(count) < 1e9 for count in counts) else []
