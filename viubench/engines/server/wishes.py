"""What is asked of a server that it need not have: streaming, the prompt's tokens, a parameter's name; given up when it
says that it does not take it.

Example:
    wishes = Wishes(Settings())
    wishes.gives_up(refused, {"max_tokens": 8}, Decoding())   # "Unsupported: use 'max_completion_tokens' instead"
    # True
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from viubench.engines.server.arguments import OMITTABLE, Settings
from viubench.engines.server.http import Refused
from viubench.engines.server.parameters import complained_of, droppable
from viubench.errors import ViubenchError
from viubench.schema import Decoding

log = logging.getLogger("viubench")

LIMITS = ("max_tokens", "max_completion_tokens")
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
FEW_EVENTS = {"stream_interval": 1024}
"""What vLLM is asked besides: the first token at once and the rest in pieces of so many, which costs little."""

_STREAM = re.compile(r"\bstream(?:ing)?\b", re.IGNORECASE)


class Wishes:
    """The settings of a server as it turned out to take them. `reasons` is set once it kept reasoning apart itself."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.reasons = False
        self._stream = settings.stream
        self._token_ids = self._few_events = True
        self._renamed = False

    def fields(self, server: str, *, first: bool) -> dict[str, Any]:
        """Of the request: how the answer is to come. The first one asks for the tokens of its prompt."""
        streamed = self._stream == "true" or (self._stream == "auto" and server == "vllm")
        more = {"return_token_ids": True} if first and server == "vllm" and self._token_ids else {}
        few = FEW_EVENTS if streamed and server == "vllm" and self._few_events else {}
        return (STREAMED if streamed else {}) | few | more

    def gives_up(self, refusal: Refused, body: Mapping[str, Any], decoding: Decoding) -> bool:
        """Whether another try without what the server does not take may be answered; ViubenchError where that is what
        the protocol asks for."""
        if refusal.status not in (400, 404, 422):
            return False
        if "stream" not in body and self._stream != "false" and _STREAM.search(refusal.words):
            self._stream = "true"  # what speaks of streams to a request without one wants it
            return True
        optional = [*OMITTABLE, *LIMITS, *STREAMED, *FEW_EVENTS, "return_token_ids", "chat_template_kwargs"]
        name = complained_of(refusal.words, [name for name in optional if name in body])
        if name is None:
            return False
        if name in LIMITS:
            return self._renames(name, refusal)
        if name in STREAMED:
            self._stream = "false"
        elif name == "return_token_ids":
            self._token_ids = False
        elif name in FEW_EVENTS:
            self._few_events = False
        elif droppable(name, decoding):
            if name not in self.settings.omit:
                log.info("the server does not take %s, which is left out", name)
            self.settings = replace(self.settings, omit=self.settings.omit | {name})
        else:
            hint = "--engine-arg omit=temperature lets the server's own hold" if name == "temperature" else ""
            raise ViubenchError(f"the server does not take {name}={body[name]}: {refusal}", where="protocol", hint=hint)
        return True

    def _renames(self, name: str, refusal: Refused) -> bool:
        other = LIMITS[1 - LIMITS.index(name)]
        if name != self.settings.max_tokens_field:  # another request was quicker
            return True
        if self._renamed or other not in refusal.words:
            return False
        self.settings, self._renamed = replace(self.settings, max_tokens_field=other), True
        return True

    def describe(self) -> dict[str, Any]:
        """For the manifest: what differs from a plain request."""
        left = {"left_out": sorted(self.settings.omit)} if self.settings.omit else {}
        field = self.settings.max_tokens_field
        return {**left, **({"max_tokens_field": field} if field != LIMITS[0] else {})}
