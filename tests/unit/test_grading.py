"""What becomes of a response: ok, unparsed, truncated or refused, and nothing at random."""

from __future__ import annotations

from dataclasses import replace

import pytest

import evaluators
from viubench.engines.base import Response
from viubench.runner.pipeline import graded
from viubench.runner.plan import Plan
from viubench.schema import Clip, Protocol, Sample
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


CHOICE = replace(GROUND, target="B", answer_text="B", options=("falls", "rises", "turns"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("B\n\nQuestion: What falls?\nAnswer: C", "B"),
        ("B\nUser: And now?\nAssistant: C", "B"),
        ("The answer is B.\n\nHuman: What falls?\nThe answer is C.", "B"),
        ("B<|im_end|>\n<|im_start|>user\nWhat falls?<|im_end|>\n<|im_start|>assistant\nC", "B"),
        ("**B**\n\n**Question 2:** What falls?\n**Answer:** C", "B"),
        ("Question: What rises?\nAnswer: B\n\nQuestion: What falls?\nAnswer: C", "B"),
        ("Question: What rises?\nAnswer: C", "C"),
        ("Let me read it again.\nQuestion: What rises?\nAnswer: C", "C"),
    ],
)
def test_the_answer_to_an_invented_next_question_is_not_taken(text: str, value: str) -> None:
    result = grade(text, "stop", CHOICE, evaluators.get("choice"))
    assert result.answer is not None
    assert result.answer.value == value
    start, end = result.answer.span
    assert value in text[start:end]


def test_what_the_engine_calls_refused_is() -> None:
    assert grade("B", "refused", CHOICE, evaluators.get("choice")).status == "refused"


@pytest.mark.parametrize(
    ("response", "status", "said", "thought"),
    [
        (
            Response("the answer is A. But wait, I should check", "length", prompt_end="<think>\n"),
            "truncated",
            "",
            1,
        ),
        (Response("so the answer is A. But wait", "stop", prompt_end="<think>\n"), "truncated", "", 1),
        (Response("", "stop", reasoning="so the answer is A"), "truncated", "", 1),
        (Response("it is A</think>\n\nB", "stop", prompt_end="<think>\n"), "ok", "B", 1),
        (Response("B", "stop", reasoning="it may be A"), "ok", "B", 1),
        (Response("A", "refused"), "refused", "A", 0),
        (Response("", "refused", reasoning="may I?"), "refused", "", 1),
        (Response("B", "stop"), "ok", "B", 0),
    ],
)
def test_a_record_holds_the_answer_and_the_reasoning_apart(
    response: Response, status: str, said: str, thought: int
) -> None:
    plan = Plan([CHOICE], {"t": Protocol(protocol="p")}, {"t": evaluators.get("choice")})
    record = graded(CHOICE, response, plan, None, {})
    assert (record.status, record.response, record.reasoning is not None) == (status, said, bool(thought))
    assert record.answer == ("B" if status == "ok" else None)
