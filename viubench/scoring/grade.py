"""From a response to a graded record: parse, score, and say what became of the sample.

Example:
    grade("3.2-8.1", "stop", sample, evaluator).status
    # 'ok'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from evaluators import Answer, Evaluator
from viubench.schema import Sample, Status

REFUSAL = re.compile(
    r"\b(?:i['’]?m (?:sorry|unable|not able)|i am (?:sorry|unable|not able)|i (?:cannot|can['’]?t|can not|won['’]?t)"
    r"|unable to (?:view|watch|see|answer|determine)|as an ai\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Grade:
    """What became of one response; only an `ok` one has scores."""

    status: Status
    answer: Answer | None = None
    scores: dict[str, float] = field(default_factory=dict)


def grade(text: str, finish_reason: str | None, sample: Sample, evaluator: Evaluator) -> Grade:
    """Grade one response.

    An answer that ends where the token limit cut the text ("14.5-26" of "14.5-26.2") is `truncated`, not `ok`.
    Without an answer: `truncated` when the limit was hit, `refused` when the text declines, else `unparsed`.
    """
    answer = evaluator.parse(text, sample)
    cut = finish_reason == "length"
    if answer is None:
        return Grade("truncated" if cut else "refused" if REFUSAL.search(text[:10_000]) else "unparsed")
    if cut and not text[answer.span[1] :].strip():
        return Grade("truncated")
    return Grade("ok", answer, evaluator.score(answer, sample))
