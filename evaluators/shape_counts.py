"""Counting drawn shapes: circles, squares and triangles, each right or wrong on its own.

Example:
    >>> from evaluators.base import Question
    >>> ShapeCounts().parse("I see 3 circles, one square and 5 triangles.", Question(target=[3, 1, 4])).value
    [3, 1, 5]

The target is [circles, squares, triangles]; rectangles count as squares. `item.params["max_frames"]` and
`["max_instances"]` say how counts were drawn: on 1..max_frames frames (from `min_frames` on, where that is given),
1..max_instances shapes on each.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from evaluators.base import Answer, Blind, Constraint, Evaluator, Gradable, one_of
from evaluators.reading.counts import MAX_COUNT, SHAPES, find_counts
from evaluators.reading.read import read_parts

_EPS = 1e-9  # the paper's guard against a true count of 0

_WHOLE = re.compile(r"\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*")


class ShapeCounts(Evaluator):
    """Share of the three shapes counted exactly; as a reward, how near each count is. `parse` is `robust`, or
    `whole_string`: the text must be three comma-separated numbers and nothing else."""

    name: ClassVar[str] = "shape_counts"
    metric: ClassVar[str] = "exact"
    task_metric: ClassVar[str] = "exact"

    def __init__(self, *, parse: str = "robust") -> None:
        self.rule = one_of("parse", parse, ("robust", "whole_string"))

    def parse(self, text: str, item: Gradable) -> Answer | None:
        """[circles, squares, triangles]; all three must be stated."""
        if self.rule == "robust":
            return read_parts(text, find_counts, "counts", SHAPES)
        stated = _WHOLE.fullmatch(text)
        return Answer([int(part) for part in stated.groups()], "whole_string", (0, len(text))) if stated else None

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        right = [float(said == true) for said, true in zip(answer.value, _counts(item.target), strict=True)]
        return {"exact": sum(right) / 3, "all_three": float(all(right)), **dict(zip(SHAPES, right, strict=True))}

    def reward(self, answer: Answer | None, item: Gradable) -> float:
        """Mean over shapes of max(0, 1 - |predicted - true| / (true + 1e-9)) (paper, section on smooth rewards); with a
        true count of 0 any other count earns 0."""
        if answer is None:
            return 0.0
        pairs = zip(_counts(answer.value), _counts(item.target), strict=True)
        return sum(max(0.0, 1.0 - abs(count - true) / (true + _EPS)) for count, true in pairs) / 3

    def guess(self, item: Gradable, rng: random.Random) -> str:
        """Each count uniform in 1..max_frames * max_instances: the rule behind the paper's 11.1 and 6.3."""
        frames, instances, least = _limits(item)
        return self.canonical([rng.randint(least, frames * instances) for _ in SHAPES])

    def chance(self, item: Gradable) -> float:
        frames, instances, least = _limits(item)
        most = frames * instances
        return sum(least <= true <= most for true in _counts(item.target)) / (most - least + 1) / 3

    def blind(self, items: Sequence[Gradable]) -> Blind:
        """The most likely count three times: from the distribution the params state, else from the targets."""
        known = [_distribution(item) for item in items]
        fitted = [item for item, limits in zip(items, known, strict=True) if limits is None]
        statements = []
        for frames, instances, least in sorted({limits for limits in known if limits}):
            count, probability = likeliest_count(frames, instances, least)
            drawn = f"probability {probability:.3f} with {least} to {frames} frames of 1 to {instances}"
            statements.append(f"always {count} of each shape ({drawn})")
        common = [0, 0, 0]
        if fitted:
            columns = zip(*(_counts(item.target) for item in fitted), strict=True)
            common = [min(counts, key=lambda n: (-counts[n], n)) for counts in map(Counter, columns)]
            statements.append(f"always {self.canonical(common)}, the most frequent counts of these {len(fitted)} items")
        texts = [self.canonical([likeliest_count(*limits)[0]] * 3 if limits else common) for limits in known]
        shares = [likeliest_count(*limits)[1] for limits in known if limits]
        return Blind("; ".join(statements), tuple(texts), None if fitted else sum(shares) / len(shares))

    def canonical(self, target: Any) -> str:
        return ",".join(str(count) for count in _counts(target))

    def target(self, text: str) -> list[int]:
        stated = _WHOLE.fullmatch(text)
        if stated is None:
            raise ValueError(f"not three counts such as 3,1,4: {text!r}")
        return [int(part) for part in stated.groups()]

    def constraint(self, item: Gradable) -> Constraint:
        """Three counts up to `MAX_COUNT`."""
        return Constraint(regex=",".join([rf"(?:0|[1-9][0-9]{{0,2}}|{MAX_COUNT})"] * 3))


@cache
def likeliest_count(frames: int, instances: int, least: int = 1) -> tuple[int, float]:
    """The most likely number of shapes and its probability; the smaller of two equally likely ones.

    The number of frames is uniform in least..frames, the shapes on each uniform in 1..instances, independently.
    """
    weights = [0] * (frames * instances + 1)  # in units of 1 / (choices * instances**frames), exact in integers
    weights[0] = instances**frames if least == 0 else 0
    ways = [1]
    for used in range(1, frames + 1):
        ways = [sum(ways[max(0, total - instances) : total]) for total in range(used * instances + 1)]
        for total, number in enumerate(ways if used >= least else []):
            weights[total] += number * instances ** (frames - used)
    count = max(range(len(weights)), key=lambda total: (weights[total], -total))
    return count, weights[count] / ((frames - least + 1) * instances**frames)


def _counts(target: Any) -> list[int]:
    """The three counts; ValueError for anything else."""
    if not isinstance(target, list | tuple) or len(target) != 3:
        raise ValueError(f"not [circles, squares, triangles]: {target!r}")
    return [int(count) for count in target]


def _distribution(item: Gradable) -> tuple[int, int, int] | None:
    """max_frames, max_instances and min_frames, 1 where the params do not say."""
    frames, instances = item.params.get("max_frames"), item.params.get("max_instances")
    if frames is None or instances is None:
        return None
    return int(frames), int(instances), int(item.params.get("min_frames", 1))


def _limits(item: Gradable) -> tuple[int, int, int]:
    if limits := _distribution(item):
        return limits
    raise ValueError("the random answer needs params['max_frames'] and params['max_instances']")
