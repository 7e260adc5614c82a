"""What becomes of a response: ok, unparsed, truncated or refused, and nothing at random."""

from __future__ import annotations

import pytest

import evaluators
from viubench.schema import Clip, Sample
from viubench.scoring.grade import grade

GROUND = Sample(
    id="s", task="t", cluster="v", clips=(Clip(path="v.mp4"),), question="<video> when?", target=[3.0, 8.0],
    answer_text="3.0-8.0", params={"times": [0.0, 10.0]},
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "finish", "status"),
    [
        ("3.0-8.0", "stop", "ok"),
        ("From 3.0 to 8.0 seconds, as the colours show", "length", "ok"),
        ("It is 3.0-8", "length", "truncated"),
        ("The video begins with a man who", "length", "truncated"),
        ("I'm sorry, I cannot watch videos.", "stop", "refused"),
        ("somewhere in the middle", "stop", "unparsed"),
        ("", "stop", "unparsed"),
        ("", None, "unparsed"),
    ],
)
def test_status(text: str, finish: str | None, status: str) -> None:
    result = grade(text, finish, GROUND, evaluators.get("temporal_iou"))
    assert result.status == status
    assert bool(result.scores) == (status == "ok")


def test_the_truth_scores_one() -> None:
    assert grade("3.0-8.0", "stop", GROUND, evaluators.get("temporal_iou")).scores["iou"] == 1
