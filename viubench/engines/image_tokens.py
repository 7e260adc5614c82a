"""What a picture costs at a server whose tokenizer is not here, by the rules that the makers publish.

Example:
    >>> rule_of("gpt-4.1").tokens(640, 640), rule_of("gemini-2.5-flash").tokens(300, 384)
    (765, 258)
    >>> rule_of("Qwen/Qwen3-VL-8B-Instruct").name
    'a token for 32 x 32 pixels (Qwen3-VL)'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from viubench.engines.token_counts import CHARACTERS, TEMPLATE_TOKENS, Shown
from viubench.schema import Chat

STAMP = 6
"""Tokens of the time written before a picture, about."""


@dataclass(frozen=True)
class Rule:
    """Tokens of a picture of `height` x `width` pixels, and whose rule that is."""

    name: str
    tokens: Callable[[int, int], int]


def patches(side: int, whose: str) -> Rule:
    """One token for so many pixels squared."""
    return Rule(f"a token for {side} x {side} pixels ({whose})", lambda h, w: -(-h // side) * -(-w // side))


def _openai(height: int, width: int) -> int:
    scale = min(1.0, 2048 / max(height, width))
    scale = min(scale, 768 / min(height, width))
    return 85 + 170 * -(-int(scale * height) // 512) * -(-int(scale * width) // 512)


def _gemini(height: int, width: int) -> int:
    return 258 if max(height, width) <= 384 else 258 * -(-height // 768) * -(-width // 768)


RULES: Sequence[tuple[str, Rule]] = (
    (r"gpt|chatgpt|\bo\d", Rule("85 tokens and 170 for each tile of 512 x 512 pixels (OpenAI)", _openai)),
    (r"gemini", Rule("258 tokens for each tile of 768 x 768 pixels (Gemini)", _gemini)),
    (r"claude", Rule("a token for 750 pixels (Anthropic)", lambda h, w: -(-h * w // 750))),
    (r"qwen-?2", patches(28, "Qwen2-VL")),
)


def rule_of(model: str) -> Rule:
    """The rule for a model of this name; Qwen3-VL's where the name tells nothing."""
    return next((rule for name, rule in RULES if re.search(name, model, re.IGNORECASE)), patches(32, "Qwen3-VL"))


class RuleCounter:
    """Counts the tokens of prompts by a rule; has the methods of `token_counts.Counter`."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    @property
    def basis(self) -> str:
        """What the counts rest on."""
        return f"pictures: {self.rule.name}; text: characters / {CHARACTERS}"

    def prompt(self, question: str, shown: Sequence[Shown], chat: Chat | None = None) -> int:
        """Tokens of one prompt."""
        text = question + (chat.system if chat else "")
        return -(-len(text) // CHARACTERS) + TEMPLATE_TOKENS + sum(map(self.video, shown))

    def video(self, shown: Shown) -> int:
        """Tokens of its pictures, each with its time."""
        return self.embeddings(shown) + (0 if shown.still else STAMP * shown.frames)

    def embeddings(self, shown: Shown) -> int:
        """Of them those of the pictures."""
        return shown.frames * self.rule.tokens(shown.height, shown.width)
