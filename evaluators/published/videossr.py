"""The two scoring scripts released with VideoSSR (arXiv 2511.06281); in both, failures leave the denominator.

Example:
    >>> from evaluators import Question
    >>> [VQA.verdict(text, Question(target="B")) for text in ("B. a cup", "The answer is B", "")]
    [1.0, 0.0, None]
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from evaluators.base import Gradable
from evaluators.published.base import Rule

_PAIR = re.compile(r"(?<!\d)(\d{1,12}(?:\.\d{0,12})?)\s{0,20}-\s{0,20}(\d{1,12}(?:\.\d{0,12})?)")


def _vqa(text: str, item: Gradable) -> float | None:
    """The first character equals the answer in capitals, so a yes or no is never right; nothing at all is left out."""
    return float(text[0] == str(item.target).strip().upper()) if text else None


def window_iou(times: Sequence[float], item: Gradable) -> float:
    """Overlap of two times in seconds, in either order, with the (first) true window over their hull, in [0, 1]; 0 for
    an empty hull."""
    first, last = item.target[0] if isinstance(item.target[0], list | tuple) else item.target
    start, end = min(times), max(times)
    hull = max(end, float(last)) - min(start, float(first))
    return max(min(end, float(last)) - max(start, float(first)), 0.0) / hull if hull > 0 else 0.0


def _vtg(text: str, item: Gradable) -> float | None:
    """IoU of the first `a - b`, ends put in order, with the (first) true window; without a pair it is left out."""
    pair = _PAIR.search(text)
    return window_iou([float(pair[1]), float(pair[2])], item) if pair else None


VQA = Rule("videossr/vqa", _vqa)
VTG = Rule("videossr/vtg", _vtg)
