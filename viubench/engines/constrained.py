"""Answers that need no reading: the likeliest of a question's options, or text held to the form of an answer.

Example: the log-probabilities of two options, one a token, the other two.
    >>> text, options = likeliest(["yes", "no"], [[-1.5], [-0.5, -0.25]])
    >>> text, options["no"].logprob, options["no"].per_token
    ('no', -0.75, -0.375)

An engine puts `continuations` behind its prompt, takes the log-probability of each of their tokens over the whole
vocabulary (temperature 1, nothing masked), and answers with `likeliest`. The sum decides, as in lm-evaluation-harness.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from viubench.engines.base import Response
from viubench.errors import ViubenchError
from viubench.schema import Chat, OptionLogprob, ShownMedia
from viubench.scoring.reasoning import part


def refuse_reasoning(chat: Chat, prompt: str, parser: str = "") -> None:
    """Raise ViubenchError where the model would reason before an answer of a given form, and the engine has no
    reasoning `parser` that tells where the reasoning ends."""
    if not parser and (chat.thinking == "on" or not part("", prompt).finished):
        raise ViubenchError(
            "the model would reason before an answer of a given form",
            where="answers",
            hint="--thinking off; or --engine vllm --set answers=constrained --set chat.reasoning_parser=NAME",
        )


def continuations(tokenizer: Any, prompt: str, options: Sequence[str], end: int) -> list[tuple[int, ...]]:
    """The tokens of each option where it follows the text of the prompt.

    `end` is the token that ends an answer. It is counted where one option begins with another: without it "1" could
    never be less likely than "10".
    """

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    before = encode(prompt)
    found = []
    for option in options:
        whole = encode(prompt + option)
        joined = whole[: len(before)] != before  # the option's first letters became one token with the prompt's last
        found.append(tuple(encode(option) if joined else whole[len(before) :]))
    nested = any(longer[: len(shorter)] == shorter for shorter, longer in permutations(found, 2))
    return [(*tokens, end) for tokens in found] if nested else found


def likeliest(options: Sequence[str], logprobs: Sequence[Sequence[float]]) -> tuple[str, dict[str, OptionLogprob]]:
    """The option with the largest sum of log-probabilities, the first of equal ones, and what is recorded of each.
    `logprobs` holds, for each option, those of its tokens."""
    scored = {
        option: OptionLogprob(logprob=round(sum(tokens), 6), tokens=len(tokens))
        for option, tokens in zip(options, logprobs, strict=True)
    }
    return max(options, key=lambda option: scored[option].logprob), scored


def chosen(
    options: Sequence[str],
    logprobs: Sequence[Sequence[float]],
    prompt_tokens: int,
    seconds: float,
    shown: ShownMedia | None = None,
) -> Response:
    """The response of an engine that was asked for the likeliest option; see `likeliest`."""
    text, scored = likeliest(options, logprobs)
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 0}
    return Response(text, "stop", usage, seconds, shown=shown, option_logprobs=scored)
