"""Options in another order: the question as it is then put, and what was answered in letters of its own order.

Example:
    >>> one = Sample("q", "t", "v", (), "Which way?\\nA. left\\nB. right", "B", "B", ("left", "right"))
    >>> put = reordered(one, [1, 0])
    >>> put.sample.question, put.sample.target, put.own("A")
    ('Which way?\\nA. right\\nB. left', 'A', 'B')

Source of the circular evaluation: MMBench (arXiv 2307.06281), section 4.3: every rotation of the options is asked, and
the question counts as right only where all of them are answered right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from string import ascii_uppercase
from typing import Any

from viubench.runner.probes.frames import other_order
from viubench.schema import AskedOrder, Probe, Record, Sample

ORDERS: tuple[Probe, ...] = ("option-shuffle", "circular")
"""Probes of the order of the options."""

REFERS = re.compile(
    r"(?i:\b(?:all|none|both|any|either|neither|some)(?: of)?(?: the)? (?:above|below)\b|\bthe (?:above|below)\b)"
    r"|\b(?i:options?|choices?|answers?) [A-H1-9]\b|\b[A-H](?:,| and| or| &) [A-H]\b"
)
"""An option that speaks of other options, which means something else at another place."""


@dataclass(frozen=True)
class Put:
    """A question with its options in one order; `shown` are the letters that they have of their own, in that order."""

    sample: Sample
    letters: tuple[str, ...]
    shown: tuple[str, ...]

    def own(self, answer: Any) -> Any:
        """What was answered, as the letter that it has in the question's own order."""
        return dict(zip(self.letters, self.shown, strict=True)).get(answer, answer)


def orders(sample: Sample, probe: Probe) -> list[Put]:
    """The question as a probe puts it, once for each order; empty where its options keep their places."""
    if probe not in ORDERS or fixed(sample):
        return []
    n = len(sample.options)
    if probe == "circular":
        return [reordered(sample, [(place + start) % n for place in range(n)]) for start in range(n)]
    return [reordered(sample, other_order(n, probe, sample.id))]


def fixed(sample: Sample) -> str:
    """Why the options of a question have to stay where they are; "" where they need not."""
    if len(sample.options) < 2:
        return "has no options"
    if sample.target not in letters_of(sample) or _places(sample.question, letters_of(sample), sample.options) is None:
        return "does not write its options out by letter"
    if any(REFERS.search(option) for option in sample.options):
        return "has options that speak of each other"
    return ""


def letters_of(sample: Sample) -> tuple[str, ...]:
    """The letters of the options, in their order."""
    letters = sample.params.get("letters") or ascii_uppercase
    return tuple(str(letter) for letter in letters)[: len(sample.options)]


def reordered(sample: Sample, order: Sequence[int]) -> Put:
    """The question with its options in this order: at place p stands the one that is at `order[p]` of its own."""
    letters = letters_of(sample)
    places = _places(sample.question, letters, sample.options)
    assert places is not None, "fixed() said so"
    text, end = "", 0
    for (start, stop), source in zip(places, order, strict=True):
        text, end = text + sample.question[end:start] + sample.options[source], stop
    target = letters[list(order).index(letters.index(sample.target))]
    put = replace(
        sample,
        question=text + sample.question[end:],
        options=tuple(sample.options[source] for source in order),
        target=target,
        answer_text=target,
    )
    return Put(put, letters, tuple(letters[source] for source in order))


@lru_cache(maxsize=1024)
def _places(question: str, letters: tuple[str, ...], options: tuple[str, ...]) -> tuple[tuple[int, int], ...] | None:
    """Start and end of each option in the text of a question; None unless they stand there once, one after another."""
    lines = (
        rf"[(\[]?{re.escape(letter)}[)\].:]+\s*({re.escape(text)})"
        for letter, text in zip(letters, options, strict=True)
    )
    found = list(re.finditer(r"(?<!\w)" + r"\s*[,;]?\s*".join(lines), question)) if all(options) else []
    if len(found) != 1:
        return None
    return tuple(found[0].span(group + 1) for group in range(len(options)))


def together(sample: Sample, puts: Sequence[Put], records: Sequence[Record], metric: str) -> Record:
    """One record of a question from those of all orders it was put in: right where all are right. It tells of the first
    that is not right, else of the first, in letters of the question's own order."""
    right = [one.status == "ok" and one.scores.get(metric, 0.0) == 1 for one in records]
    place = 0 if all(right) else right.index(False)
    put, record = puts[place], records[place]
    times = {key: sum(one.seconds[key] for one in records) for key in record.seconds if key != "frames"}
    orders = [
        AskedOrder(shown=list(put.shown), status=one.status, response=one.response, answer=put.own(one.answer))
        for put, one in zip(puts, records, strict=True)
    ]
    return record.model_copy(
        update={
            "target": sample.target,
            "answer": put.own(record.answer),
            "scores": {key: min(one.scores.get(key, 0.0) for one in records) for key in record.scores},
            "rules": {name: _least([one.rules[name] for one in records]) for name in record.rules},
            "option_logprobs": {put.own(letter): found for letter, found in record.option_logprobs.items()},
            "usage": {key: sum(one.usage.get(key, 0) for one in records) for key in record.usage},
            "seconds": record.seconds | {key: round(value, 4) for key, value in times.items()},
            "orders": orders,
        }
    )


def _least(values: Sequence[float | None]) -> float | None:
    """The least of the verdicts of a published rule; none where it leaves one out."""
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None
