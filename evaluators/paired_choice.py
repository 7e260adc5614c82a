"""Vinoground's paired questions: a pair counts when both of its questions of a kind are right.

Example:
    >>> evaluator = PairedChoice(primary="text")
    >>> row = lambda kind, right: Scored({"accuracy": right}, "pair 7", {"question": kind, "major": "action"})
    >>> unit = evaluator.units([row("text", 1.0), row("text", 1.0), row("video", 1.0), row("video", 0.0)])[0]
    >>> unit.scores["text_score"], unit.scores["video_score"], unit.scores["group_score"], unit.scores["accuracy"]
    (1.0, 0.0, 0.0, 0.75)

Beside the scores of pairs stands the accuracy per question: `accuracy` of all, `text_accuracy` and `video_accuracy`.
A sample's cluster is its pair; `groups["question"]` says its kind: "text" (one clip, two captions) or "video" (one
caption, two clips).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from evaluators.base import Gradable, Groups, Scored, grouped, one_of
from evaluators.choice import Choice

KINDS = {"text": ("text",), "video": ("video",), "group": ("text", "video")}
"""Score -> the kinds of question whose two members must be right (arXiv 2410.02763, section 4)."""


class PairedChoice(Choice):
    """Text, video and group score over pairs; `primary` is the headline of them, `parse` as in `Choice`."""

    name: ClassVar[str] = "paired_choice"

    def __init__(self, *, primary: str = "text", parse: str = "robust") -> None:
        super().__init__(parse=parse)
        self.primary = one_of("primary", primary, tuple(KINDS))

    @property
    def unit_metric(self) -> str:
        return f"{self.primary}_score"

    @property
    def task_metric(self) -> str:  # type: ignore[override]  # here it depends on a parameter
        return self.unit_metric

    def units(self, rows: Sequence[Scored]) -> list[Scored]:
        """One unit per pair. Without exactly two questions of a kind the pair has 0 for it; of the groups, those stay
        on which all members agree. ValueError where a sample's kind is not known."""
        return [
            Scored(
                _scores([(_kind(row.groups), row.scores.get("accuracy", 0.0)) for row in pair]),
                pair[0].cluster,
                _agreed([row.groups for row in pair]),
            )
            for pair in grouped((row.cluster, row) for row in rows).values()
        ]

    def chance_of(self, rows: Sequence[tuple[Gradable, str, Groups]]) -> float:
        """Mean over pairs of the product of its questions' chances: 1/4, for the group score 1/16."""
        pairs = grouped((cluster, (_kind(groups), self.chance(item))) for item, cluster, groups in rows)
        if not pairs:
            raise ValueError("the chance score of a task without samples")
        return sum(_scores(pair)[self.unit_metric] for pair in pairs.values()) / len(pairs)


def _scores(members: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Each score of a pair from its members' (kind, score): their product where a kind has two; and their means."""
    of_kind = {kind: [value for own, value in members if own == kind] for kind in ("text", "video")}
    both = {kind: math.prod(values) if len(values) == 2 else 0.0 for kind, values in of_kind.items()}
    return {
        **{f"{score}_score": math.prod(both[kind] for kind in kinds) for score, kinds in KINDS.items()},
        "accuracy": sum(value for _, value in members) / len(members),
        **{f"{kind}_accuracy": sum(values) / len(values) for kind, values in of_kind.items() if values},
    }


def _agreed(groups: Sequence[Groups]) -> Groups:
    first = groups[0]
    return {key: first[key] for key in first if key != "question" and all(g.get(key) == first[key] for g in groups)}


def _kind(groups: Groups) -> str:
    kind = groups.get("question")
    if kind not in ("text", "video"):
        raise ValueError(f"groups['question'] must say text or video, not {kind!r}")
    return str(kind)
