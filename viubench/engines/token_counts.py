"""How long a prompt will be, from a checkpoint's files alone: no engine, no torch, no transformers.

Example:
    counter = Counter(describe_checkpoint("tiny-qwen3-vl"))
    counter.prompt("<video>\\nHow many circles?", [Shown(48, 64, 64, times=None)])
    # 529

A Qwen3-VL prompt holds for every two frames their time, a start, one token per `size_multiple` x `size_multiple` pixels
and an end. Other models are counted without the times and marks, which is a few tokens short.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from viubench.engines import prompts

GROUP = 2  # frames that are merged into one (temporal patch size)

TIMESTAMPED_TYPES = ("qwen3_vl", "qwen3_vl_moe")  # model types whose processor writes frame times into the prompt

LONGEST_STAMP = "<99999.9 seconds>"
CHARACTERS = 3  # characters of English a token, at the least: what is divided by where there is no tokenizer

TEMPLATE_TOKENS = 16  # what a chat template adds, where none can be rendered


@dataclass(frozen=True)
class Shown:
    """A video as a model is shown it: `frames` of `height` x `width` pixels, at `times` (seconds; None where not yet
    known: the longest stamp is counted then). A `still` is a single picture without a time."""

    frames: int
    height: int
    width: int
    times: tuple[float, ...] | None = None
    still: bool = False


class Counter:
    """Counts the tokens of prompts for one checkpoint, as `describe_checkpoint` gives it; `multiple` are the pixels of
    a token's side, where that does not say."""

    def __init__(self, checkpoint: Mapping[str, Any], multiple: int = 32) -> None:
        self.folder = Path(checkpoint["path"])
        self.multiple = checkpoint.get("size_multiple") or multiple
        self.stamped = checkpoint.get("model_type") in TIMESTAMPED_TYPES
        self._text = cache(self._count_text)
        self._stamp = cache(self._tokens)

    @property
    def basis(self) -> str:
        """What the text is counted by."""
        if self._tokenizer is None:
            return f"text: characters / {CHARACTERS}, no tokenizer.json is readable"
        return "text: the checkpoint's tokenizer" + ("" if self._template else ", without its chat template")

    def prompt(self, question: str, shown: Sequence[Shown]) -> int:
        """Tokens of one prompt."""
        stills = frozenset(place for place, video in enumerate(shown) if video.still)
        return self._text(question, len(shown), stills) + sum(map(self.video, shown))

    def video(self, shown: Shown) -> int:
        """Tokens that a video adds to the text, in which one token stands for it."""
        groups, pads = -(-shown.frames // GROUP), self.embeddings(shown)
        if shown.still or not self.stamped:
            return pads - 1
        if shown.times is None:
            stamps = groups * self._stamp(LONGEST_STAMP)
        else:
            times = [*shown.times, *[shown.times[-1]] * (-shown.frames % GROUP)]
            middles = [(first + last) / 2 for first, last in zip(times[::GROUP], times[1::GROUP], strict=True)]
            stamps = sum(self._stamp(f"<{middle:.1f} seconds>") for middle in middles)
        return pads + stamps + 2 * groups - 1

    def embeddings(self, shown: Shown) -> int:
        """Of them those that the vision encoder makes."""
        return -(-shown.frames // GROUP) * (shown.height // self.multiple) * (shown.width // self.multiple)

    def _count_text(self, question: str, videos: int, stills: frozenset[int]) -> int:
        pieces = prompts.parts(question, videos, self._special, stills)
        if self._template is not None:
            messages = [{"role": "user", "content": pieces}]
            return self._tokens(self._template.render(messages=messages, add_generation_prompt=True, tools=None))
        return sum(3 if "text" not in piece else self._tokens(piece["text"]) for piece in pieces) + TEMPLATE_TOKENS

    def _tokens(self, text: str) -> int:
        if self._tokenizer is None:
            return -(-len(text) // CHARACTERS)
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _special(self) -> list[str]:
        if self._tokenizer is None:
            return []
        return sorted(token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special)

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer

            return Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        except Exception:  # its Rust errors have no type of their own; without it there is an estimate
            return None

    @cached_property
    def _template(self) -> Any:
        """The chat template, in jinja's sandbox; None where there is none, it does not compile, or no tokenizer is."""
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        source = _template_source(self.folder)
        if source is None or self._tokenizer is None:
            return None
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        try:
            template = environment.from_string(source)
            template.render(messages=[{"role": "user", "content": [{"type": "text", "text": ""}]}], tools=None)
        except (TemplateError, TypeError, ValueError):  # it may call what only transformers gives it
            return None
        return template


def _template_source(folder: Path) -> str | None:
    plain = folder / "chat_template.jinja"
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        with suppress(OSError, ValueError, AttributeError):
            source = json.loads((folder / name).read_bytes()).get("chat_template")
            if isinstance(source, str):
                return source
    return None
