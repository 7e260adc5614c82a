"""From a response to a graded record: parse, score, and say what became of the sample.

Example:
    grade("3.2-8.1", "stop", sample, evaluator).status
    # 'ok'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice

from evaluators import Answer, Evaluator
from viubench.schema import Sample, Status

REFUSAL = re.compile(
    r"\b(?:i['’]?m (?:sorry|unable|not able)|i am (?:sorry|unable|not able)|i (?:cannot|can['’]?t|can not|won['’]?t)"
    r"|unable to (?:view|watch|see|answer|determine)|as an ai\b)",
    re.IGNORECASE,
)

NEXT_QUESTION = re.compile(
    r"^[ \t]*(?:[#*>]+[ \t]*)*(?:(?:next[ \t]+)?question|q|user|human|instruction)[ \t]*\d{0,4}[ \t]*\**[ \t]*[:：]"
    r"|<\|(?:im_start|im_end|user|start_header_id|eot_id|endoftext)\|>|<(?:start_of_turn|end_of_turn)>",
    re.IGNORECASE | re.MULTILINE,
)
"""Where a model that does not stop begins to write the next turn of the conversation itself."""

MOST_TURNS = 8


@dataclass(frozen=True)
class Grade:
    """What became of one response; only an `ok` one has scores."""

    status: Status
    answer: Answer | None = None
    scores: dict[str, float] = field(default_factory=dict)


def grade(text: str, finish_reason: str | None, sample: Sample, evaluator: Evaluator) -> Grade:
    """Grade one response, without its reasoning.

    An answer that ends where the token limit cut the text ("14.5-26" of "14.5-26.2") is `truncated`, not `ok`.
    Without an answer: `truncated` when the limit was hit, `refused` when the text declines, else `unparsed`. What the
    engine calls "refused" is. An answer that only a judge can score is `unjudged`.
    """
    if finish_reason == "refused":
        return Grade("refused")
    answer = _first_turn(text, sample, evaluator) or evaluator.parse(text, sample)
    cut = finish_reason == "length"
    if answer is None:
        return Grade("truncated" if cut else "refused" if REFUSAL.search(text[:10_000]) else "unparsed")
    if cut and not text[answer.span[1] :].strip():
        return Grade("truncated")
    if evaluator.needs_judge:
        return Grade("unjudged")
    return Grade("ok", answer, evaluator.score(answer, sample))


def _first_turn(text: str, sample: Sample, evaluator: Evaluator) -> Answer | None:
    """The answer before a next question that the model invented; None where there is none."""
    heads = (text[: mark.start()] for mark in islice(NEXT_QUESTION.finditer(text), MOST_TURNS))
    answers = (evaluator.parse(head, sample) for head in heads if head.strip())
    return next((answer for answer in answers if answer is not None), None)
