"""VCRBench's two scorers: its authors' script, and lmms-eval 0.7.3's, from a description of their behaviour.

Example:
    >>> from evaluators import Question
    >>> item = Question(target=[2, 1, 3])
    >>> [STEP.verdict(text, item) for text in ("2, 1, 3", "2, 3, 1", "2 -> 1 -> 3")]
    [1.0, 0.3333333333333333, 0.0]

Each has three numbers: the accuracy of whole orders; the step accuracy, for which the steps of all items are pooled,
so that a long item weighs more; and the mean of the accuracies of the goals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from evaluators.base import Gradable
from evaluators.published.base import Rule, RuleVerdict, mean_of_groups

_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(r"\d{1,9}")
_BOXED = "\\boxed{"

Reading = Callable[[str, int], list[int]]


def official_order(text: str, n: int) -> list[int]:
    """The first sentence or line whose comma-separated parts begin with a permutation of 1..n, be it a restatement; []
    without one."""
    for sentence in _SENTENCES.split(text.replace("*", "")):
        if numbers := _order(sentence, n):
            return numbers
    return []


def lmms_order(text: str, n: int) -> list[int]:
    """As the authors' script, but an order in `<answer>` tags or in the last `\\boxed{}` comes first, and reasoning in
    think tags is cut out."""
    text = _without_thoughts(text)
    start = text.find("<answer>")
    end = text.find("</answer>", start) if start >= 0 else -1
    tagged = text[start + len("<answer>") : end] if end >= 0 else _boxed(text)
    return _order(tagged, n) or official_order(text, n)


def _without_thoughts(text: str) -> str:
    """The text without what its think tags enclose; a closing tag alone ends reasoning that the prompt began, an
    opening tag alone stays."""
    for name in ("think", "thinking"):
        opening, closing = f"<{name}>", f"</{name}>"
        kept, at = [], 0
        while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start)) >= 0:
            kept.append(text[at:start])
            at = end + len(closing)
        text = "".join(kept) + text[at:]
        if closing in text and opening not in text:
            text = text.rpartition(closing)[2]
    return text.strip()


def _order(text: str, n: int) -> list[int]:
    numbers = [int(match[0]) for part in text.split(",") if (match := _NUMBER.search(part))]
    return numbers if sorted(numbers) == list(range(1, n + 1)) else []


def _boxed(text: str) -> str:
    """What is in the last box, up to its own closing brace; "" without one."""
    start = text.rfind(_BOXED)
    depth = 0
    for at in range(start + len(_BOXED) - 1, len(text) if start >= 0 else 0):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start + len(_BOXED) : at]
    return ""


def _exact(text: str, item: Gradable, read: Reading) -> float:
    return float(read(text, len(item.target)) == list(item.target))


def _steps(text: str, item: Gradable, read: Reading) -> float:
    """Share of the places that are right; none of a reply without an order."""
    order = read(text, len(item.target))
    return sum(map(int.__eq__, order, item.target)) / len(item.target)


def _pooled(rows: Sequence[RuleVerdict]) -> float | None:
    """The mean over all steps of all items; `groups["steps"]` says how many steps an item has."""
    known = [(row.value, int(str(row.groups.get("steps", 1)))) for row in rows if row.value is not None]
    total = sum(steps for _, steps in known)
    return sum(value * steps for value, steps in known) / total if total else None


def _rules(where: str, read: Reading) -> tuple[Rule, Rule, Rule]:
    return (
        Rule(f"{where}/vcrbench", partial(_exact, read=read)),
        Rule(f"{where}/vcrbench_step", partial(_steps, read=read), _pooled),
        Rule(f"{where}/vcrbench_weighted", partial(_exact, read=read), mean_of_groups("goal")),
    )


EXACT, STEP, WEIGHTED = _rules("official", official_order)
LMMS_EXACT, LMMS_STEP, LMMS_WEIGHTED = _rules("lmms-eval", lmms_order)
