"""Log-probabilities of tokens that need not be generated, from vLLM: one prompt for every place where options differ.

Example: "yes" is the token (5,), "no, never" are (7, 8, 9).
    >>> places([(5,), (7, 8, 9)])
    {(): [5, 7], (7,): [8], (7, 8): [9]}
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

Tokens = tuple[int, ...]

Ask = Callable[[Tokens, Sequence[int]], Awaitable[Mapping[int, float]]]
"""The log-probabilities of each of the given tokens (the second argument) behind the prompt and the first."""

VOCABULARY = 64
"""Tokens whose log-probabilities tell two prompts apart."""


def places(options: Sequence[Tokens]) -> dict[Tokens, list[int]]:
    """The tokens that may come next, behind each beginning that options share."""
    found: dict[Tokens, list[int]] = {}
    for tokens in options:
        for end, token in enumerate(tokens):
            after = found.setdefault(tokens[:end], [])
            if token not in after:
                after.append(token)
    return found


async def option_logprobs(ask: Ask, options: Sequence[Tokens]) -> list[list[float]]:
    """Log-probabilities of the tokens of each option."""
    wanted = places(options)
    found: dict[Tokens, Mapping[int, float]] = {
        (): await ask((), wanted[()])
    }  # first: the others find its prompt in the caches
    rest = [before for before in wanted if before]
    answers = await asyncio.gather(*(ask(before, wanted[before]) for before in rest))
    found |= dict(zip(rest, answers, strict=True))
    return [[found[tokens[:end]][token] for end, token in enumerate(tokens)] for tokens in options]


def sampling_values(tokens: Sequence[int]) -> dict[str, Any]:
    """Arguments of vLLM's SamplingParams that ask for the log-probabilities of `tokens` and generate one token."""
    return {"max_tokens": 1, "temperature": 0.0, "logprob_token_ids": list(tokens), "detokenize": False}


def spread(size: int) -> list[int]:
    """Tokens from all over a vocabulary of `size`."""
    return sorted({size * number // VOCABULARY for number in range(VOCABULARY)})
