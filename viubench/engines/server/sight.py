"""Proof that a model behind a server sees the frames it is sent, before the first answer counts.

Example:
    await Sight(ask).prove(body, tokens=1417, even=True, expected=None)   # 'prompt tokens'

A prompt with frames has more tokens than the same prompt without, and each picture of one size costs the same. Where a
server counts no tokens, it is asked twice which digit it sees: two pictures, so the answers must differ. A server whose
count, or whose answer, does not change with the text either proves nothing: it is no sign of a blind model.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import cv2
import numpy as np

from viubench.engines.server.payload import media_parts, text_part, with_media
from viubench.engines.server.replies import response_of
from viubench.errors import ViubenchError

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

SLACK = 0.9
"""Share of the expected tokens that must be there."""

SHORT = 16
"""Tokens of a probe's answer, at most; its text matters only where no tokens are counted."""

MARKS = (("3", (200, 30, 30), ("three", "red")), ("8", (30, 30, 200), ("eight", "blue")))
ABOUT_FRAMES = ("media_io_kwargs", "mm_processor_kwargs")
HINT = (
    "serve a model that takes pictures, raise the server's own limit of them (vLLM: --limit-mm-per-prompt), or, where "
    "you know better, --engine-arg sight=off"
)


class Sight:
    """Asks a server for the proof; `ask` sends a body and gives the completion."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    async def prove(self, body: Mapping[str, Any], tokens: int | None, *, even: bool, expected: int | None) -> str:
        """How it was proved that the model sees what `body` shows: "prompt tokens" or "marks"; "" where nothing the
        server says depends on what it is sent.

        Args:
            body: the request that was answered.
            tokens: of its prompt, as the server counted them.
            even: whether its pictures are all of one size.
            expected: tokens that its frames are worth, where that is known.

        Raises:
            ViubenchError: the model does not see all of it.
            EngineError: a probe was not answered.
        """
        pictures = media_parts(body["messages"])
        without = await self._tokens(body, 0) if tokens is not None else None
        if tokens is None or without is None or tokens - without < pictures:
            shown = await self._marks(body, told=False)
            if shown[0] != shown[1] and (
                _named(shown) or "temperature" in body
            ):  # a sampled answer may differ by chance
                return "marks"
            longer = None if without is None else await self._tokens(_longer(body), 0)
            counts = without is not None and longer is not None and longer > without
            if not counts and len(set(await self._marks(body, told=True))) == 1:
                return ""
            counted = "" if tokens is None else f" ({tokens} prompt tokens with them, {without} without)"
            raise ViubenchError(
                f"the server does not show its model the frames{counted}", where="--base-url", hint=HINT
            )
        share = (tokens - without) / expected if expected else 1.0
        if pictures > 1 and even and (one := await self._tokens(body, 1)) is not None and one > without:
            share = min(share, (tokens - without) / (one - without) / pictures)
        if share < SLACK:
            what = f"{share * pictures:.0f} of {pictures} pictures" if pictures > 1 else f"{share:.0%} of the frames"
            raise ViubenchError(f"the server shows its model about {what}", where="--base-url", hint=HINT)
        return "prompt tokens"

    async def _tokens(self, body: Mapping[str, Any], pictures: int) -> int | None:
        """Tokens of the prompt with its first `pictures` pictures alone."""
        fewer = {name: value for name, value in body.items() if pictures or name not in ABOUT_FRAMES}
        fewer["messages"] = with_media(body["messages"], pictures)
        return response_of(await self.ask(_short(fewer))).usage.get("prompt_tokens")

    async def _marks(self, body: Mapping[str, Any], *, told: bool) -> list[str]:
        """The answers to which digit and colour each mark has, shown as a picture or `told` in words."""
        plain = {name: value for name, value in body.items() if name not in ABOUT_FRAMES}
        plain |= {"temperature": 0.0} if "temperature" in plain else {}
        answers = []
        for digit, colour, words in MARKS:
            url = {"url": f"data:image/png;base64,{_drawn(digit, colour)}"}
            picture = text_part(" ".join(words)) if told else {"type": "image_url", "image_url": url}
            text = "Which digit and which colour does the picture show? Answer with two words."
            content = [picture, text_part(text)]
            asked = _short(plain | {"messages": [{"role": "user", "content": content}]})
            answer = response_of(await self.ask(asked))
            answers.append(answer.reasoning + answer.text)
        return answers


def _named(answers: list[str]) -> bool:
    """Whether each answer names its mark."""
    marks = zip(answers, MARKS, strict=True)
    return all(any(word in answer.lower() for word in (digit, *words)) for answer, (digit, _, words) in marks)


def _longer(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request with more text in its question."""
    *before, last = body["messages"]
    more = "Look again, more slowly this time, and then answer the question. " * 4
    content = last["content"] + more if isinstance(last["content"], str) else [*last["content"], text_part(more)]
    return {**body, "messages": [*before, {**last, "content": content}]}


def _short(body: dict[str, Any]) -> dict[str, Any]:
    """The request with a short free answer."""
    left = ("structured_outputs", "response_format", "regex", "thinking_token_budget")
    kept = {name: value for name, value in body.items() if name not in left}
    return kept | {name: SHORT for name in ("max_tokens", "max_completion_tokens") if name in kept}


def _drawn(digit: str, colour: tuple[int, int, int]) -> str:
    """A picture of a large white digit on a colour, as PNG in base64."""
    picture = np.full((448, 448, 3), colour[::-1], np.uint8)
    cv2.putText(picture, digit, (90, 380), cv2.FONT_HERSHEY_SIMPLEX, 14, (255, 255, 255), 40)
    done, data = cv2.imencode(".png", picture)
    assert done
    return base64.b64encode(data.tobytes()).decode()
