"""Video-MME-v2's grouped questions: four on one video make one score, which is more than the share that is right.

Example:
    >>> group_score([True, True, False, True], "logic", "[1, 2, 3, 4]")  # a chain of steps is worth its unbroken part
    0.25
    >>> group_score([True, True, False, True], "relevance", "")  # facets of one ability: the square of the share
    0.5625

A sample's cluster is its group. Its groups say the kind (`group_type`: "relevance" or "logic"), the order of a chain
(`group_structure`) and the sample's own place in it (`place`, from 1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import ClassVar

from evaluators.base import Gradable, Groups, Scored, grouped
from evaluators.choice import Choice

SIZE = 4
"""Questions of a group."""


class GroupedChoice(Choice):
    """The mean score of groups; a question is read and scored as in `Choice`."""

    name: ClassVar[str] = "grouped_choice"
    task_metric: ClassVar[str] = "group_score"

    @property
    def unit_metric(self) -> str:
        return "group_score"

    def units(self, rows: Sequence[Scored]) -> list[Scored]:
        """One unit per group, with the breakdown groups of its last question, as published. A question that is missing
        counts as wrong. ValueError where a sample does not say its place, or its group's kind."""
        return [_unit(members) for members in grouped((row.cluster, row) for row in rows).values()]

    def chance_of(self, rows: Sequence[tuple[Gradable, str, Groups]]) -> float:
        """Mean over groups of the expected score when every question is guessed by itself."""
        members = grouped((cluster, (self.chance(item), groups)) for item, cluster, groups in rows).values()
        if not members:
            raise ValueError("the chance score of a task without samples")
        return sum(map(_expected, members)) / len(members)


def group_score(right: Sequence[bool], kind: str, structure: str) -> float:
    """Score of one group, in [0, 1] (arXiv 2604.05015, scoring of groups).

    "relevance": the square of the share that is right. "logic": `structure` lists the steps of a chain, in
    "[1, [2, 3], 4]" two questions in one of them; a right answer to step k weighs 2k - 1, and counts only while all
    steps before its own are right.
    """
    if kind == "relevance":
        return (sum(right) / SIZE) ** 2
    if kind != "logic":
        raise ValueError(f"groups['group_type'] must say relevance or logic, not {kind!r}")
    steps = [[step] if isinstance(step, int) else step for step in json.loads(structure)]
    if sorted(place for step in steps for place in step) != list(range(1, SIZE + 1)):
        raise ValueError(f"groups['group_structure'] must order the places 1 to {SIZE}, not {structure!r}")
    worth, whole = 0, sum((2 * k - 1) * len(step) for k, step in enumerate(steps, start=1))
    for k, step in enumerate(steps, start=1):
        count = sum(right[place - 1] for place in step)
        worth += (2 * k - 1) * count
        if count < len(step):
            break
    return worth / whole


def _unit(members: Sequence[Scored]) -> Scored:
    ordered = sorted(members, key=lambda row: _place(row.groups))
    right = [False] * SIZE
    for row in ordered:
        right[_place(row.groups) - 1] = row.scores.get("accuracy", 0.0) == 1.0
    last = ordered[-1].groups
    scores = {
        "group_score": group_score(right, str(last.get("group_type")), str(last.get("group_structure"))),
        "accuracy": sum(row.scores.get("accuracy", 0.0) for row in ordered) / len(ordered),
    }
    return Scored(scores, ordered[0].cluster, {key: value for key, value in last.items() if key != "place"})


def _expected(members: Sequence[tuple[float, Groups]]) -> float:
    chances = [0.0] * SIZE
    for chance, groups in members:
        chances[_place(groups) - 1] = chance
    kind, structure = (str(members[-1][1].get(key)) for key in ("group_type", "group_structure"))
    return sum(
        group_score(right, kind, structure) * prod(p if hit else 1 - p for p, hit in zip(chances, right, strict=True))
        for right in product((False, True), repeat=SIZE)
    )


def _place(groups: Groups) -> int:
    place = groups.get("place")
    if place not in ("1", "2", "3", "4"):
        raise ValueError(f"groups['place'] must say which of the {SIZE} questions of its group a sample is: {place!r}")
    return int(str(place))
