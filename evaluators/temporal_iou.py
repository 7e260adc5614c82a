"""Temporal grounding: one interval in seconds, scored by its intersection over union with the truth.

Example:
    >>> from evaluators.base import Question
    >>> item = Question(target=[3.0, 8.0], params={"times": [0.0, 5.0, 10.0]})
    >>> TemporalIoU().parse("from 3.0s to 7.0 s", item).value
    [3.0, 7.0]

The target is [start, end] or a list of such windows. `item.params["times"]` holds the T + 1 edges in seconds of the
frames shown; `frames` (T) and `length` [lo, hi], when there, say how a segment was drawn and give the blind answer.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from evaluators.base import Answer, Blind, Constraint, Evaluator, Gradable, NotKnown, one_of
from evaluators.interval_overlap import best_frames, best_share, overlap
from evaluators.reading.intervals import find_intervals
from evaluators.reading.read import read

WINDOWS = ("best", "first", "union")
THRESHOLDS = (0.3, 0.5, 0.7)
MOST_DECIMALS = {"robust": 20, "first_pair": 12}
_FIRST_PAIR = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,12})?)\s{0,20}-\s{0,20}([0-9]{1,12}(?:\.[0-9]{0,12})?)")
_ANSWER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*-\s*([0-9]+(?:\.[0-9]+)?)\s*")


class TemporalIoU(Evaluator):
    """mIoU and recall at IoU 0.3, 0.5 and 0.7 (a threshold that is just reached counts).

    Args:
        windows: with several true windows, score against the `best` overlapping one (QVHighlights' official rule for
            a single answer), the `first`, or the `union` of all.
        beside: more of these rules, each with its own score (`iou_first`, `iou_union`) beside the headline.
        parse: `robust`, or `first_pair`: the first `a - b` of the text, ends sorted, as the paper's script reads it.
    """

    name: ClassVar[str] = "temporal_iou"
    metric: ClassVar[str] = "iou"
    task_metric: ClassVar[str] = "miou"

    def __init__(self, *, windows: str = "best", beside: Sequence[str] = (), parse: str = "robust") -> None:
        self.windows = one_of("windows", windows, WINDOWS)
        self.beside = [one_of("beside", rule, WINDOWS) for rule in beside]
        self.rule = one_of("parse", parse, ("robust", "first_pair"))

    def parse(self, text: str, item: Gradable) -> Answer | None:
        """[start, end] in seconds. A reversed or negative interval is unparsed: which end is wrong is not known."""
        if self.rule == "robust":
            return read(text, find_intervals, "interval")
        pair = _FIRST_PAIR.search(text)
        return Answer(sorted((float(pair[1]), float(pair[2]))), "first_pair", pair.span()) if pair else None

    def score(self, answer: Answer, item: Gradable) -> dict[str, float]:
        start, end = answer.value
        windows = _windows(item.target)
        iou = float(overlap(start, end, windows, self.windows))
        others = {f"iou_{rule}": float(overlap(start, end, windows, rule)) for rule in self.beside}
        # 5.1 of 10.2 seconds is a half, whatever binary floating point makes of it.
        return {"iou": iou, **{f"r@{t}": float(iou >= t - 1e-9) for t in THRESHOLDS}, **others}

    def guess(self, item: Gradable, rng: random.Random) -> str:
        """The whole shown video: the rule behind the paper's random row (mean segment / video = 25 %)."""
        return _write(*_shown(item))

    def chance(self, item: Gradable) -> float:
        start, end = self.target(_write(*_shown(item)))
        return float(overlap(start, end, _windows(item.target), self.windows))

    def blind(self, items: Sequence[Gradable]) -> Blind:
        """The best constant interval: from the distribution an item's `params` state, else fitted on the targets."""
        drawn = [_distribution(item) for item in items]
        fitted = [item for item, known in zip(items, drawn, strict=True) if known is None]
        said = []
        for frames, shortest, longest in sorted({known for known in drawn if known}):
            a, b, expected = best_frames(frames, shortest, longest)
            overlaps = f"expected IoU {expected:.3f} for segments of {shortest} to {longest} frames"
            said.append(f"always frames {a} to {b} of {frames} ({overlaps})")
        shares = [0.0, 1.0]
        if fitted:
            targets = [_windows(item.target) for item in fitted]
            *shares, mean = best_share([_shown(item) for item in fitted], targets, self.windows)
            overlaps = f"IoU {mean:.3f}, fitted on the true intervals of these {len(fitted)} items"
            said.append(f"always {shares[0]:.0%} to {shares[1]:.0%} of the video ({overlaps})")
        texts = []
        for item, known in zip(items, drawn, strict=True):
            first, last = _shown(item)
            if known:
                texts.append(_write(*(item.params["times"][edge] for edge in best_frames(*known)[:2])))
            else:
                texts.append(_write(*(first + share * (last - first) for share in shares)))
        means = [best_frames(*known)[2] for known in drawn if known]
        return Blind("; ".join(said), tuple(texts), None if fitted else sum(means) / len(means))

    def trivial(self, items: Sequence[Gradable]) -> dict[str, tuple[str, ...]]:
        """The whole shown video."""
        return {"whole video": tuple(_write(*_shown(item)) for item in items)}

    def canonical(self, target: Any) -> str:
        """`start-end` with one decimal, more where the target has more; of several windows the first."""
        start, end = _windows(target)[0]
        return f"{_decimal(start)}-{_decimal(end)}"

    def target(self, text: str) -> list[float]:
        stated = _ANSWER.fullmatch(text)
        if stated is None or float(stated[1]) > float(stated[2]):
            raise ValueError(f"not an interval such as 3.2-8.1: {text!r}")
        return [float(stated[1]), float(stated[2])]

    def constraint(self, item: Gradable) -> Constraint:
        """Two times below 100 hours, with decimals. That the second is the later one no regular expression of a
        usable size can say: a reversed interval has the form of an answer, and stays unparsed."""
        seconds = rf"(?:[0-9]{{1,5}}|[12][0-9]{{5}}|3[0-5][0-9]{{4}})\.[0-9]{{1,{MOST_DECIMALS[self.rule]}}}"
        return Constraint(regex=f"{seconds}-{seconds}")


def _windows(target: Any) -> list[tuple[float, float]]:
    """The true windows; ValueError where one is not a finite, ordered pair."""
    pairs = target if target and isinstance(target[0], list | tuple) else [target]
    windows = [(float(start), float(end)) for start, end in pairs]
    if not all(math.isfinite(start) and start <= end and math.isfinite(end) for start, end in windows):
        raise ValueError(f"not an interval in seconds: {target!r}")
    return windows


def _shown(item: Gradable) -> tuple[float, float]:
    """First and last second of what is shown."""
    times = item.params.get("times")
    if not times or len(times) < 2:
        raise NotKnown("the random and the blind answer need params['times'], the edges of the shown frames in seconds")
    return float(times[0]), float(times[-1])


def _distribution(item: Gradable) -> tuple[int, int, int] | None:
    """(frames, shortest, longest segment) that the item was drawn from, where its params say so. A segment leaves at
    least one frame out."""
    frames, length = item.params.get("frames"), item.params.get("length")
    if frames is None or length is None:
        return None
    if len(item.params["times"]) != frames + 1:
        raise ValueError(f"{frames} frames need {frames + 1} edges in params['times'], got {len(item.params['times'])}")
    shortest, longest = length
    return int(frames), int(shortest), min(int(longest), int(frames) - 1)


def _write(start: float, end: float) -> str:
    return f"{start:.1f}-{end:.1f}"


def _decimal(seconds: float) -> str:
    short = f"{seconds:.1f}"
    return short if float(short) == seconds else format(Decimal(repr(seconds)), "f")
