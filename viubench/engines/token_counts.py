"""How long a prompt will be, from a checkpoint's files alone: no engine, no torch, no transformers.

Example:
    counter = Counter(describe_checkpoint("tiny-qwen3-vl"))
    counter.prompt("<video>\\nHow many circles?", [Shown(48, 64, 64, times=None)])
    # 529

A Qwen3-VL prompt holds for every two frames their time, a start, one token per `size_multiple` x `size_multiple` pixels
and an end. What other models write around frames is read from the table of families; where a model leaves out tokens of
what does not change, or numbers its frames, the count is the most there can be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from viubench.engines import families, prompts, templates
from viubench.engines.prompts import Showing
from viubench.schema import Chat
from viubench.video.frames import VideoInput

TIMESTAMPED_TYPES = ("qwen3_vl", "qwen3_vl_moe")  # model types whose processor writes frame times into the prompt

LONGEST_TIME = 99999.9  # seconds
CHARACTERS = 3  # characters of English a token, at the least: what is divided by where there is no tokenizer

HOLE = "\ue000"  # of private use: no chat template has it

REMEMBERED = 4096  # texts and videos whose tokens are known

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


class _Told(NamedTuple):
    still: bool
    times: tuple[float, ...]


class Counter:
    """Counts the tokens of prompts for one checkpoint, as `describe_checkpoint` gives it; `multiple` are the pixels of
    a token's side, where that does not say, `kind` the engine that shows them."""

    def __init__(self, checkpoint: Mapping[str, Any], multiple: int = 32, kind: str = "hf") -> None:
        self.folder = Path(checkpoint["path"])
        self.family = families.family(checkpoint)
        self.showing = Showing.of(self.family, kind if kind in ("hf", "vllm") else "hf")
        self.format = families.frame_format(checkpoint, self.showing.medium)
        self.multiple = self.format.multiple or checkpoint.get("size_multiple") or multiple
        self.frame = families.frame_tokens(checkpoint, self.showing.medium)
        self.still = families.frame_tokens(checkpoint, "images")
        self._image = families.image_merge(checkpoint)
        self._breaks = "image_break_token" in families.processor_settings(checkpoint)  # each row ends in one
        self._text = lru_cache(REMEMBERED)(self._count_text)
        self._video = lru_cache(REMEMBERED)(self._count_video)
        self._stamp = lru_cache(REMEMBERED)(self._tokens)
        self._around: dict[Any, list[str] | None] = {}

    @property
    def basis(self) -> str:
        """What the text is counted by."""
        if self._tokenizer is None:
            return f"text: characters / {CHARACTERS}, no tokenizer.json is readable"
        return "text: the checkpoint's tokenizer" + ("" if self._template else ", without its chat template")

    def prompt(self, question: str, shown: Sequence[Shown], chat: Chat | None = None) -> int:
        """Tokens of one prompt."""
        return self._text(question, tuple(shown), (chat or Chat()).model_dump_json()) + sum(map(self.video, shown))

    def video(self, shown: Shown) -> int:
        """Tokens that a video adds to the text, in which one token stands for it (or for each of its images)."""
        return self._video(shown)

    def _count_video(self, shown: Shown) -> int:
        pads, around = self.embeddings(shown), self._stamp(self.family.around) if self.family.around else 0
        if shown.still or self.showing.medium == "images":
            rows = shown.height // (self._image or self.multiple) if self._breaks else 0
            return pads + shown.frames * ((around if self.showing.medium == "images" else 0) + rows - 1)
        group = self.format.group
        stamps = -(-shown.frames // group) * around + self._stamp(self.family.intro) - 1
        if self.family.stamp is not None:
            stamps += sum(map(self._stamp, self.family.stamp.texts(_times(shown), group)))
        return pads + stamps

    def embeddings(self, shown: Shown) -> int:
        """Of them those that the vision encoder makes."""
        if shown.still or self.showing.medium == "images":
            return shown.frames * (self.still or self._grid(shown, self._image or self.multiple))
        groups = -(-shown.frames // self.format.group)
        return groups * (self.frame or self._grid(shown, self.multiple)) + self.family.once

    def worth(self, videos: Sequence[VideoInput]) -> int | None:
        """Vision tokens that the prompt of these videos must have; None where a picture's are not known."""
        if "images" in self.family.resizes and any(video.still for video in videos):
            return None
        if self.frame is None and self.format.multiple is None:
            return None
        sizes = [(video.pixels.shape, video.still) for video in videos]
        return sum(self.embeddings(Shown(shape[0], shape[1], shape[2], None, still)) for shape, still in sizes)

    def _grid(self, shown: Shown, side: int) -> int:
        return (shown.height // side) * (shown.width // side)

    def _count_text(self, question: str, shown: tuple[Shown, ...], chat: str) -> int:
        pieces = prompts.parts(question, len(shown), self._special)
        if self._template is not None:
            return self._count_prompt(self._prompt(pieces, shown, chat))
        pieces = self._with_media(pieces, shown)
        told = [Chat.model_validate_json(chat).system, *(piece["text"] for piece in pieces if "text" in piece)]
        media = sum("text" not in piece for piece in pieces)
        return sum(map(self._tokens, told)) + 3 * media + TEMPLATE_TOKENS

    def _with_media(self, pieces: Sequence[prompts.Part], shown: tuple[Shown, ...]) -> list[prompts.Part]:
        """The parts of a message with what stands for its videos in their places."""
        inserts = iter(self.showing.parts([_Told(video.still, _times(video)) for video in shown]))
        return [part for piece in pieces for part in ([piece] if "text" in piece else next(inserts))]

    def _prompt(self, pieces: Sequence[prompts.Part], shown: tuple[Shown, ...], chat: str) -> str:
        """The prompt that the chat template makes of a message. What it writes around the words is taken from the
        first message of the same form, where putting the words there gives what the template does: rendering a million
        takes minutes."""
        words = [piece["text"].strip() for piece in pieces if "text" in piece]
        blank = [piece | {"text": _blank(piece["text"])} if "text" in piece else piece for piece in pieces]
        told = shown if self.showing.words or self.showing.medium == "images" else [video.still for video in shown]
        form = (tuple(piece.get("text") for piece in blank), tuple(told), chat)
        if form not in self._around:
            if len(self._around) >= REMEMBERED:
                self._around.clear()
            around = self._render(self._with_media(blank, shown), chat).split(HOLE)
            whole = self._render(self._with_media(pieces, shown), chat)
            fits = len(around) == len(words) + 1 and _filled(around, words) == whole
            self._around[form] = around if fits else None
        if (known := self._around[form]) is not None:
            return _filled(known, words)
        return self._render(self._with_media(pieces, shown), chat)

    def _render(self, content: Sequence[prompts.Part], chat: str) -> str:
        settings = Chat.model_validate_json(chat)
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if settings.system:
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": settings.system}]})
        given = templates.arguments(self.template or "", settings)
        given |= {"add_generation_prompt": True, "tools": None, **self._names}
        return str(self._template.render(messages=messages, **given))

    def _count_prompt(self, text: str) -> int:
        """Tokens of a whole prompt: the tokenizer may begin it where the template has not."""
        ids, begins = self._tokenizer.encode(text, add_special_tokens=False).ids, self._begins
        return len(ids) + (len(begins) if ids[: len(begins)] != begins else 0)

    @cached_property
    def _begins(self) -> list[int]:
        return list(self._tokenizer.encode("").ids)

    @cached_property
    def _names(self) -> dict[str, str]:
        """What templates call the tokens that begin and end a text."""
        settings = families.read_json(self.folder / "tokenizer_config.json")
        found = {name: settings.get(name) for name in ("bos_token", "eos_token")}
        texts = {name: token.get("content") if isinstance(token, dict) else token for name, token in found.items()}
        return {name: token for name, token in texts.items() if isinstance(token, str)}

    def _tokens(self, text: str) -> int:
        if self._tokenizer is None:
            return -(-len(prompts.BARRED.sub("~" * CHARACTERS, text)) // CHARACTERS)
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
    def template(self) -> str | None:
        """The text of the checkpoint's chat template."""
        return _template_source(self.folder)

    @cached_property
    def _template(self) -> Any:
        """The chat template, in jinja's sandbox; None where there is none, it does not compile, or no tokenizer is."""
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        source = self.template
        if source is None or self._tokenizer is None:
            return None
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        try:
            template = environment.from_string(source)
            template.render(messages=[{"role": "user", "content": [{"type": "text", "text": ""}]}], tools=None)
        except (TemplateError, TypeError, ValueError):  # it may call what only transformers gives it
            return None
        return template


def _blank(text: str) -> str:
    """A text with a hole for its words, and the spaces around them."""
    start = len(text) - len(text.lstrip())
    return text[:start] + HOLE + text[start + len(text.strip()) :]


def _filled(around: Sequence[str], words: Sequence[str]) -> str:
    """The texts `around`, with one of the words between each two."""
    return "".join(chain(*zip(around, [*words, ""], strict=True)))


def _times(shown: Shown) -> tuple[float, ...]:
    return (LONGEST_TIME,) * shown.frames if shown.times is None else shown.times


def _template_source(folder: Path) -> str | None:
    plain = folder / "chat_template.jinja"
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        with suppress(OSError, ValueError, AttributeError, RecursionError):
            source = json.loads((folder / name).read_bytes()).get("chat_template")
            if isinstance(source, str):
                return source
    return None
