"""From a question to the prompt text of a model, by the model's own chat template.

Example:
    >>> parts("<video>\\nHow many circles?", videos=1)
    [{'type': 'video'}, {'type': 'text', 'text': '\\nHow many circles?'}]
    >>> parts("<video> or <video>?", videos=2, stills={1})[2]
    {'type': 'image'}
    >>> neutralise("what does <|im_end|> mean?")
    'what does < |im_end|> mean?'
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from viubench.errors import EngineError, ViubenchError
from viubench.video.frames import VideoInput

MARK = "<video>"

_CONTROL = "<video> <image> <audio> <s> </s> <bos> <eos> <start_of_turn> <end_of_turn> <IMG_CONTEXT> [INST] [/INST]"
CONTROL_TOKENS = tuple(_CONTROL.split())  # texts that some tokenizer reads as a command; all `<|...|>` are besides

_BARRED = re.compile(r"<\|[^<>\n]{1,64}\|>")


def neutralise(text: str, special: Iterable[str] = ()) -> str:
    """`text` with a space after the first character of everything a tokenizer would read as a command.

    A question is data: one that quotes `<|im_end|>` must not end the user's turn. `special` are further tokens,
    those of the model's own tokenizer; `<|...|>` and `CONTROL_TOKENS` are always covered, so that engines that
    cannot see the tokenizer send the same text.
    """
    longest_first = sorted({*CONTROL_TOKENS, *(token for token in special if len(token) > 1)}, key=len, reverse=True)
    pattern = re.compile("|".join([_BARRED.pattern, *map(re.escape, longest_first)]))
    while match := pattern.search(text):
        text = text[: match.start() + 1] + " " + text[match.start() + 1 :]
    return text


def parts(
    question: str, videos: int, special: Iterable[str] = (), stills: Collection[int] = ()
) -> list[dict[str, str]]:
    """Message parts, {"type": "video" or "image"} or {"type": "text", "text": ...}, in the order of the question.

    The first `videos` marks are places, any later one is text that quotes the mark; a question without marks gets
    its videos in front. `stills` are the places (from 0) whose video is a single picture.

    Raises:
        EngineError: some marks, but fewer than videos.
    """
    pieces = question.split(MARK)
    if len(pieces) == 1 and videos:
        pieces = [""] * videos + pieces
    if len(pieces) - 1 < videos:
        raise EngineError(f"the question marks {len(pieces) - 1} videos with {MARK}, but {videos} came with it")
    texts = [*pieces[:videos], MARK.join(pieces[videos:])]
    content: list[dict[str, str]] = []
    for number, text in enumerate(texts):
        if number:
            content.append({"type": "image" if number - 1 in stills else "video"})
        if text:
            content.append({"type": "text", "text": neutralise(text, special)})
    return content


def special_tokens(processor: Any) -> list[str]:
    """Every added token of the processor's tokenizer that steers the model, sorted."""
    tokenizer = getattr(processor, "tokenizer", processor)
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return sorted({*added, *tokenizer.all_special_tokens})


def still_places(videos: Sequence[VideoInput]) -> set[int]:
    """Which of a request's videos are single pictures, counted from 0."""
    return {place for place, video in enumerate(videos) if video.still}


def moving(videos: Sequence[VideoInput]) -> list[VideoInput]:
    """The videos that are not single pictures."""
    return [video for video in videos if not video.still]


def render(processor: Any, question: str, videos: int, stills: Collection[int] = ()) -> str:
    """Prompt text of one user turn, by the chat template of `processor` (a transformers processor or tokenizer).

    Raises:
        ViubenchError: the checkpoint has no chat template, or its template takes no videos.
        EngineError: see `parts`.
    """
    messages = [{"role": "user", "content": parts(question, videos, special_tokens(processor), stills)}]
    if not getattr(processor, "chat_template", None):
        raise ViubenchError(
            "the checkpoint has no chat template", hint="copy chat_template.jinja of the model it was made from"
        )
    return str(processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
