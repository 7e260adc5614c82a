"""Marks of reasoning that are special tokens, as of Gemma 4 and Magistral: an answer keeps them until it is parted.

Example:
    kept(tokenizer)                # {'<|channel>', '<channel|>'} with Gemma 4, none with most families
    decoded(tokenizer, token_ids)  # '<|channel>thought\\nIt rises.<channel|>B'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from viubench.scoring.reasoning import is_mark


def kept(tokenizer: Any) -> frozenset[str]:
    """The special tokens that mark reasoning."""
    return frozenset(text for text in _special(tokenizer).values() if is_mark(text))


def decoded(tokenizer: Any, token_ids: Sequence[int]) -> str:
    """The text of generated tokens, without special ones that are no marks."""
    marks = kept(tokenizer)
    if not marks:
        return str(tokenizer.decode(token_ids, skip_special_tokens=True))
    hidden = {number for number, text in _special(tokenizer).items() if text not in marks}
    return str(tokenizer.decode([number for number in token_ids if number not in hidden], skip_special_tokens=False))


def without_others(tokenizer: Any, text: str) -> str:
    """A text that was decoded with all special tokens, without those that are no marks."""
    for other in sorted(set(_special(tokenizer).values()) - kept(tokenizer), key=len, reverse=True):
        text = text.replace(other, "")
    return text


def _special(tokenizer: Any) -> dict[int, str]:
    added = getattr(tokenizer, "added_tokens_decoder", {})  # not every tokenizer of vLLM has them
    return {number: token.content for number, token in added.items() if token.special}
