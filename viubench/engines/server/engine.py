"""Any OpenAI-compatible endpoint; vLLM servers get the frames as one video with true times, others as timed images.

A vLLM server takes per-request video metadata only when it runs with --trust-request-mm-kwargs. Whether it does is
probed by the first request; `--engine-arg transport=video|images` decides instead, and then a refusal is an error.

Example:
    async with ServerEngine(None, ["http://127.0.0.1:8000/v1"], {"transport_format": "png"}) as engine:
        response = await engine.generate(request)
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from viubench.engines import families, prompts
from viubench.engines.base import Engine, EngineOptions, Request, Response
from viubench.engines.families import Family, FrameFormat
from viubench.engines.prompts import Showing
from viubench.engines.server import payload
from viubench.engines.server.arguments import ARGUMENTS, FORMATS, Settings
from viubench.engines.server.http import Connection, Failed, Refused, Reply
from viubench.engines.server.message import one_line
from viubench.engines.server.models import (
    CHAT,
    Served,
    bases,
    checkpoint_of,
    family_of,
    greet,
    multiple_by_name,
    takes_whole_videos,
)
from viubench.engines.server.parameters import constrained, constrains, fields, unwrapped
from viubench.engines.server.replies import response_of
from viubench.engines.server.sight import Sight
from viubench.engines.server.wishes import Wishes
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Answers, ShownMedia
from viubench.video import timestamps

log = logging.getLogger("viubench")

PROOFS = 3
"""Questions whose proof of sight may go unanswered before it is said that there is none."""

NOT_FALLEN_BACK = (401, 403, 404)
"""HTTP statuses that say nothing of how frames are sent."""

NAMES = 8
"""Names of models in answers that are told apart."""

NO_PICTURES = re.compile(r"At most 0 image|cannot be split into the .{1,200} row\(s\) per image")
"""How vLLM refuses pictures for a model that takes none, or that it cannot prepare them for: none of the questions
would be answered."""

FLAG = "a vLLM server takes them as one video with true times when it is started with --trust-request-mm-kwargs"

Shape = tuple[bool, int, int]


class ServerEngine(Engine):
    """Answers through one or several endpoints that serve the same model, in turn.

    Args:
        model: the served name, or None for the only one served.
        base_urls: endpoints, with or without the closing /v1.
        args: see `arguments.Settings`.

    Keys are read from the environment and never shown.
    """

    kind: ClassVar[str] = "server"
    answers = frozenset[Answers]({"free", "constrained"})

    def __init__(self, model: str | None, base_urls: Sequence[str], args: Mapping[str, str]) -> None:
        self.settings = Settings.read(args)
        self.max_in_flight = self.settings.max_in_flight or 8 * len(base_urls)
        for url in base_urls:
            bases(url)
        self.connection = Connection(self.settings, base_urls, self.max_in_flight)
        self.addresses = list(self.connection.urls)
        self.wishes = Wishes(self.settings)
        self.model = model
        self.served = Served("", model or "")
        self.transport = self.settings.transport
        self.frame_format = FrameFormat(self.settings.size_multiple or 32)
        self.checkpoint_here: dict[str, Any] = {}
        self.family: Family | None = None
        self.whole = False
        self.why_images = ""
        self.sight = "" if self.settings.sight else "off"
        self.prompt_end = ""
        self.answered_as: list[str] = []
        self._proved: set[Shape] = set()
        self._unproved = 0
        self._neither = False
        self._first, self._began = asyncio.Lock(), asyncio.Event()

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        return dict(ARGUMENTS)

    @classmethod
    def from_options(cls, options: EngineOptions) -> ServerEngine:
        if not options.base_urls:
            raise ViubenchError("the server engine needs an endpoint", hint="--base-url http://127.0.0.1:8000/v1")
        if options.deterministic:
            raise ViubenchError(
                "what a server batches together is not known here, so determinism cannot be promised",
                where="--deterministic",
                hint="use --engine vllm or hf; a vLLM server can be started with VLLM_BATCH_INVARIANT=1",
            )
        return cls(options.model, options.base_urls, options.args)

    async def start(self) -> None:
        await self.connection.__aenter__()
        try:
            found = [await greet(self.connection, url, self.model) for url in self.addresses]
        except BaseException:
            await self.close()
            raise
        self.connection.urls = [one.url for one in found]
        self.served, self.model = found[0], found[0].model
        self._first, self._began = asyncio.Lock(), asyncio.Event()
        self.checkpoint_here = checkpoint_of(self.served.root) if self.served.kind in ("vllm", "sglang") else {}
        name = f"{self.served.root} {self.model}"
        self.family = family_of(self.checkpoint_here, name)
        self.whole = self.served.kind == "vllm" and takes_whole_videos(self.checkpoint_here, name)
        if self.settings.size_multiple is None:
            by_name = multiple_by_name(name)
            known = (
                families.frame_format(self.checkpoint_here, "video") if self.checkpoint_here else FrameFormat(by_name)
            )
            self.frame_format = replace(known, multiple=known.multiple or (None if known.fixed else 32))

    def require_untimed(self) -> None:
        """Pictures alone have no times; where a video would be sent that is another way to show frames."""
        if self.transport == "video" or (self.transport == "auto" and self.served.kind == "vllm"):
            Showing("video").asked(times=False)

    async def generate(self, request: Request) -> Response:
        if self._began.is_set() or not self._media(request):
            return await self._answer(request)
        async with self._first:  # the first request shows how this server takes videos; the others wait for it
            if not self._began.is_set():
                try:
                    return await self._answer(request)
                finally:
                    self._began.set()
        return await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        if request.file is not None:
            self.transport = "file"
        as_video = self._as_video(request)
        try:
            reply, body = await self._ask(request, as_video)
        except (Refused, Failed) as error:
            if self.transport != "auto" or not as_video or not _about_frames(error):
                raise
            reply, body = await self._ask_with_images(request, error)
            as_video = False
        if as_video and self.transport == "auto":
            self.transport = "video"
        response = response_of(reply.data, reply.seconds, reply.first_token)
        self._note_name(reply.data.get("model"))
        if (
            (shape := self._shape(request, as_video)) not in self._proved
            and self._media(request)
            and self.settings.sight
        ):
            await self._prove(request, reply, body, response, shape)
        return self._finished(request, response, as_video)

    def _finished(self, request: Request, response: Response, as_video: bool) -> Response:
        """The response with what the model was shown, and where its reasoning may have begun."""
        if response.reasoning:
            self.wishes.reasons = True
        options = request.constraint.choices if request.constraint is not None else ()
        if options and self.settings.constraint == "response_format":
            response = replace(response, text=unwrapped(response.text))
        as_images = bool(prompts.moving(request.videos)) and not as_video
        return replace(
            response,
            usage=response.usage | ({"shown_as_images": 1} if as_images else {}),
            shown=self._shown(request, as_video),
            prompt_end="" if self.wishes.reasons else self.prompt_end,
        )

    def _note_name(self, said: Any) -> None:
        """Remember the name in which an answer came: a gateway may let another model take over."""
        name = one_line(said, 100) if isinstance(said, str) else ""
        if name and name not in self.answered_as and len(self.answered_as) < NAMES:
            if self.answered_as:
                log.warning("an answer came from %s, others from %s", name, ", ".join(self.answered_as))
            self.answered_as.append(name)

    def _shown(self, request: Request, as_video: bool) -> ShownMedia | None:
        """What the model was shown; None where there was nothing to see."""
        if request.file is not None:
            return ShownMedia(kind="file")
        if not request.videos:
            return None
        height, width = request.videos[0].pixels.shape[1:3]
        told: Any = "prompt" if prompts.moving(request.videos) and request.times else "none"
        if as_video and self.family is not None and self.family.positions:
            told = "positions"
        return ShownMedia(
            kind="video" if as_video else "images",
            tokens=self._expected(request) if as_video else None,
            times=told,
            height=height,
            width=width,
        )

    async def _ask(self, request: Request, as_video: bool, once: bool = False) -> tuple[Reply, dict[str, Any]]:
        """One completion, without what the server says it does not take; raises as `Connection.post`."""
        own = self.settings
        sent = await asyncio.to_thread(
            payload.messages,
            request,
            format_=own.transport_format,
            showing=self._showing(as_video).asked(request.times),
            file_as=own.file_as,
        )
        while True:
            body = {"model": self.model, "messages": sent}
            settings = self.wishes.settings
            body |= fields(
                request.decoding, request.chat, seed=request.seed, server=self.served.kind, settings=settings
            )
            body |= constrained(request.constraint, self.served.kind, settings)
            body |= payload.as_shown(request, self.family) if as_video else {}
            body |= self.wishes.fields(self.served.kind, first=not self.prompt_end and request.file is None)
            try:
                return await self.connection.post(CHAT, body, once=once), body
            except Refused as error:
                if not as_video and NO_PICTURES.search(error.words):
                    raise ViubenchError(
                        f"the server shows its model no pictures: {error}",
                        where="--base-url",
                        hint="raise its --limit-mm-per-prompt, or run the model with --engine vllm or hf",
                    ) from error
                if not self.wishes.gives_up(error, body, request.decoding):
                    raise

    async def _ask_with_images(self, request: Request, refusal: EngineError) -> tuple[Reply, dict[str, Any]]:
        """The same question with timed images, and all later ones, if the server answers that; else `refusal`."""
        try:
            reply, body = await self._ask(request, as_video=False, once=self._neither)
        except EngineError as error:
            self._neither = True  # it fails whatever is sent: later questions look for images but once
            told = str(refusal) if str(error) == str(refusal) else f"as a video: {refusal}; as images: {error}"
            raise EngineError(told) from None
        if self.transport == "auto":
            self.transport, self.why_images = "images", str(refusal)
            log.warning(
                "frames go as timed images, which is another prompt; the server did not take a video: %s", refusal
            )
            log.warning("  %s; --engine-arg transport=images chooses images without this warning", FLAG)
            if self.served.kind == "vllm" and not self.checkpoint_here and self.settings.size_multiple is None:
                log.warning("  a model with another frame size than 32 pixels a token: --engine-arg size_multiple=28")
        return reply, body

    def _as_video(self, request: Request) -> bool:
        if self.transport in ("images", "file") or not request.times or not prompts.moving(request.videos):
            return False
        name = f"{self.served.root} {self.model}"
        if self.transport == "auto" and (
            self.served.kind != "vllm" or not takes_whole_videos(self.checkpoint_here, name)
        ):
            self.transport = "images"
            return False
        return payload.shared_clock(request, self.family, self.frame_format.group) is not None

    def _showing(self, as_video: bool) -> Showing:
        """How videos stand in the prompt; what else tells no times has them in words."""
        if not as_video:
            return Showing("images")
        family = self.family
        return Showing("video", words=family is not None and family.stamp is None and not family.positions)

    def _media(self, request: Request) -> bool:
        return bool(request.videos) or request.file is not None

    def _shape(self, request: Request, as_video: bool) -> Shape:
        return as_video, len(request.videos), len(prompts.moving(request.videos))

    async def _prove(
        self, request: Request, reply: Reply, body: dict[str, Any], response: Response, shape: Shape
    ) -> None:
        """On the first answer of each shape: the model saw the frames, and read our times."""

        async def ask(probe: dict[str, Any]) -> dict[str, Any]:
            return (await self.connection.post(CHAT, probe)).data

        async with self._first if self._began.is_set() else asyncio.Lock():
            if shape in self._proved:
                return
            if shape[0] and self.served.kind == "vllm":
                await self._check_prompt(reply.data, request)
            sizes = {video.pixels.shape[1:3] for video in request.videos}
            tokens = response.usage.get("prompt_tokens")
            expected = self._expected(request) if shape[0] else None
            try:
                proof = await Sight(ask).prove(body, tokens, even=len(sizes) == 1, expected=expected)
            except EngineError as error:
                self._unproved += 1
                if self._unproved < PROOFS:
                    return
                proof = "none"
                log.warning("it could not be proved that the model sees the frames: %s", error)
            if not proof:
                proof = "none"
                log.warning(
                    "it could not be proved that the model sees the frames: token counts and answers stay the same "
                    "whatever %s is sent",
                    self.model,
                )
            self.sight = proof
            self._proved.add(shape)

    def _expected(self, request: Request) -> int | None:
        """Vision tokens of frames sent as video, where the server's checkpoint is here and says."""
        form = self.frame_format
        if not self.checkpoint_here or form.multiple is None or (self.family and self.family.drops):
            return None
        area = form.multiple**2
        total = 0
        for frames, height, width, _ in (video.pixels.shape for video in request.videos):
            total += -(-frames // form.group) * (height * width // area)
        return total

    async def _check_prompt(self, answer: Mapping[str, Any], request: Request) -> None:
        """The prompt of a vLLM server, where it gives its tokens: how it ends, and the times in it are ours."""
        token_ids = answer.get("prompt_token_ids")
        if not isinstance(token_ids, list):
            return
        question = {"model": self.model, "tokens": token_ids}
        try:
            prompt = (await self.connection.post("/detokenize", question, above=True)).data.get("prompt")
        except EngineError:
            return
        if not isinstance(prompt, str):
            return
        self.prompt_end = prompt[-200:]
        family = self.family or payload.UNKNOWN
        due = payload.due_times(request, family, self.frame_format.group)
        sure = self.family is not None or timestamps.has_timestamps(prompt)
        problem = timestamps.missing(prompt, due, family.stamp.pattern) if family.stamp and due and sure else None
        if problem is not None:
            raise ViubenchError(
                f"the server does not show the model the frames it was sent: {problem}",
                where="--base-url",
                hint="--engine-arg transport=images, or a newer vLLM",
            )

    @property
    def constrains(self) -> bool:
        """Whether this server is known to hold answers to a form; it has been reached before."""
        return constrains(self.served.kind, self.settings)

    async def close(self) -> None:
        await self.connection.__aexit__()

    def describe(self) -> dict[str, Any]:
        transport = (
            self.transport
            if self.transport == "file"
            else f"{self.transport}/{FORMATS[self.settings.transport_format]}"
        )
        settings = {"base_urls": self.connection.urls, "transport": transport} | self.wishes.describe()
        settings |= {"why_images": self.why_images} if self.why_images else {}
        settings |= {"sight": self.sight} if self.sight else {}
        settings |= {"answered_as": self.answered_as} if self.answered_as not in ([], [self.model]) else {}
        return {"model": self.model, "version": self.served.version, "revision": None, "settings": settings}


def _about_frames(error: Refused | Failed) -> bool:
    """Whether images may be answered where a video was not."""
    return error.status is not None and error.status not in NOT_FALLEN_BACK and error.status != 429
