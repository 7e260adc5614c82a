"""Reasoning and answer, by vLLM's parsers: only where reasoning is still to come."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from viubench.engines.vllm.sampling import ReasoningParser
from viubench.schema import Chat

ENDS = 7


@pytest.fixture
def parser() -> ReasoningParser:
    """One of a model that reasons without being told to: a text without the end of it is all reasoning."""

    def extract(text: str, _: object) -> tuple[str | None, str | None]:
        reasoning, ended, answer = text.partition("</think>")
        return reasoning or None, answer if ended else None

    made = ReasoningParser.__new__(ReasoningParser)
    made._parser = SimpleNamespace(is_reasoning_end=lambda ids: ENDS in ids, extract_reasoning=extract)
    made._request = None
    return made


@pytest.mark.parametrize(
    ("thinking", "prompt", "text", "read"),
    [
        ("default", [1], "so</think>A", ("so", "A")),
        ("on", [1], "so", ("so", "")),
        ("default", [1, ENDS], "A", ("", "A")),
        ("off", [1], "A", ("", "A")),
    ],
)
def test_an_answer_after_a_prompt_that_ended_the_reasoning_is_no_reasoning(
    thinking: str, prompt: list[int], text: str, read: tuple[str, str], parser: ReasoningParser
) -> None:
    assert parser.read(Chat.model_validate({"thinking": thinking}), prompt, text) == read
