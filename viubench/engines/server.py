"""Any OpenAI-compatible endpoint; vLLM servers get the frames as one video with true times, others as timed images.

A vLLM server takes per-request video metadata only when it runs with --trust-request-mm-kwargs. Whether it does is
probed by the first request; `--engine-arg transport=video|images` decides instead, and then a refusal is an error.

Example:
    async with ServerEngine(None, ["http://127.0.0.1:8000/v1"], {"transport_format": "png"}) as engine:
        response = await engine.generate(request)
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from viubench.engines import engine_args, prompts, server_payload
from viubench.engines.base import Engine, EngineOptions, FrameFormat, Request, Response
from viubench.errors import EngineError, ViubenchError
from viubench.video import timestamps

ARGUMENTS: dict[str, engine_args.Kind] = {
    "transport": ("auto", "video", "images"),
    "transport_format": tuple(server_payload.FORMATS),
    "timeout": float,
    "retries": int,
    "max_in_flight": int,
    "size_multiple": int,
}
RETRIED_STATUSES = (408, 409, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 60.0  # seconds between two tries at most, whatever a Retry-After asks for


class Refused(EngineError):
    """The server refused the request (4xx)."""


class _Busy(Exception):
    """The server did not answer, or asked for a retry after `wait` seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class ServerEngine(Engine):
    """Answers through one or several endpoints that serve the same model, in turn.

    Args:
        model: the served name, or None for the only one served.
        base_urls: endpoints, with or without the closing /v1.
        args: see `ARGUMENTS`; `timeout` in seconds per try, `retries` tries after the first, `transport_format` jpeg
            (quality 95) or png (lossless), `size_multiple` in pixels.

    The key is read from OPENAI_API_KEY and never shown.
    """

    kind: ClassVar[str] = "server"

    def __init__(self, model: str | None, base_urls: Sequence[str], args: Mapping[str, str]) -> None:
        settings = engine_args.typed(args, ARGUMENTS, self.kind)
        self.urls = [_endpoint(url) for url in base_urls]
        self.model = model
        self.format: str = settings.get("transport_format", "jpeg")
        self.transport: str = settings.get("transport", "auto")
        self.max_in_flight = settings.get("max_in_flight", 8 * len(self.urls))
        self.frame_format = FrameFormat(settings.get("size_multiple", 32))
        self.timeout: float = settings.get("timeout", 600.0)
        self.retries: int = settings.get("retries", 5)
        self.is_vllm = False
        self.version = "unknown"
        self._client: Any = None
        self._turn = itertools.cycle(self.urls)
        self._first = asyncio.Lock()
        self._checked = False

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
        key = os.environ.get("OPENAI_API_KEY", "")
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(self.timeout, connect=10.0),
            limits=httpx.Limits(max_connections=self.max_in_flight + len(self.urls)),
        )
        try:
            for url in self.urls:
                await self._greet(url)
        except BaseException:
            await self.close()
            raise

    async def _greet(self, url: str) -> None:
        """Find the model at `url`; raises ViubenchError when it is not served there."""
        try:
            served = (await self._call("GET", itertools.repeat(url), "/models"))["data"]
            names = [entry["id"] for entry in served]
        except (EngineError, KeyError, TypeError) as error:
            raise ViubenchError(
                f"no OpenAI-compatible server answers at {url}: {error}",
                where="--base-url",
                hint="start it (for example `vllm serve MODEL`), or check the address and OPENAI_API_KEY",
            ) from error
        if self.model is None and len(names) != 1:
            raise ViubenchError(f"{url} serves {len(names)} models", hint=f"--model {' | '.join(names[:8])}")
        self.model = self.model or names[0]
        if self.model not in names:
            raise ViubenchError(
                f"{url} does not serve {self.model}", where="--model", hint=f"it serves {', '.join(names[:8])}"
            )
        if any(entry.get("owned_by") == "vllm" for entry in served):
            self.is_vllm, self.version = True, "vllm, version unknown"
            with suppress(EngineError, KeyError):
                answer = await self._call("GET", itertools.repeat(url.removesuffix("/v1")), "/version")
                self.version = f"vllm {answer['version']}"

    async def generate(self, request: Request) -> Response:
        if self._checked or not prompts.moving(request.videos):
            return await self._ask(request)
        async with self._first:  # the first request probes how this server takes videos; the others wait for it
            return await self._ask(request)

    async def _ask(self, request: Request) -> Response:
        started = time.perf_counter()
        as_video = self._as_video(request)
        body = await asyncio.to_thread(server_payload.body, request, format_=self.format, as_video=as_video)
        body |= {"model": self.model, "temperature": request.decoding.temperature, "top_p": 1.0, "seed": 0}
        body["max_tokens"] = request.decoding.max_tokens
        if self.is_vllm:  # the server would fill these from the checkpoint's own defaults, which are not greedy
            body |= {"repetition_penalty": 1.0, "top_k": 0, "min_p": 0.0, "return_token_ids": not self._checked}
        try:
            answer = await self._call("POST", self._turn, "/chat/completions", body)
        except Refused:
            if self.transport != "auto" or not as_video:
                raise
            self.transport = "images"
            return await self._ask(request)
        moving = prompts.moving(request.videos)
        if moving and not self._checked:
            await self._check_prompt(answer, request, as_video)
        return _response(answer, time.perf_counter() - started, as_images=bool(moving) and not as_video)

    def _as_video(self, request: Request) -> bool:
        if self.transport == "images" or not prompts.moving(request.videos):
            return False
        if self.transport == "auto" and not self.is_vllm:
            self.transport = "images"
            return False
        return server_payload.shared_clock(request) is not None

    async def _check_prompt(self, answer: dict[str, Any], request: Request, as_video: bool) -> None:
        """On the first answer of a vLLM server: the model read our times. Decides `transport` when it was open."""
        token_ids = answer.get("prompt_token_ids")
        if as_video and self.is_vllm and isinstance(token_ids, list):
            question = {"model": self.model, "tokens": token_ids}
            roots = (url.removesuffix("/v1") for url in self._turn)
            prompt = (await self._call("POST", roots, "/detokenize", question)).get("prompt", "")
            metas = [timestamps.metadata(video) for video in prompts.moving(request.videos)]
            problem = timestamps.missing_timestamps(prompt, metas) if timestamps.has_timestamps(prompt) else None
            if problem is not None:
                raise ViubenchError(
                    f"the server does not show the model the frames it was sent: {problem}",
                    where="--base-url",
                    hint="--engine-arg transport=images, or a newer vLLM",
                )
        if as_video:
            self.transport = "video"
        self._checked = as_video or self.transport == "images"

    async def _call(
        self, method: str, urls: Iterator[str], path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """One request with retries, each at the next of `urls`, so that one endpoint may be down. Raises Refused for a
        4xx, EngineError when the tries are used up."""
        stop, retry = stop_after_attempt(1 + self.retries), retry_if_exception_type(_Busy)
        tries = AsyncRetrying(stop=stop, wait=_wait, retry=retry, reraise=True)
        try:
            return await tries(self._call_once, method, urls, path, body)
        except _Busy as error:
            raise EngineError(f"{error}, after {1 + self.retries} tries") from error

    async def _call_once(
        self, method: str, urls: Iterator[str], path: str, body: dict[str, Any] | None
    ) -> dict[str, Any]:
        url = next(urls) + path
        try:
            reply = await self._client.request(method, url, json=body)
        except httpx.TransportError as error:
            raise _Busy(f"{url}: {error or type(error).__name__}") from error
        if reply.status_code in RETRIED_STATUSES:
            raise _Busy(f"{url}: HTTP {reply.status_code}: {_message(reply)}", _retry_after(reply))
        if reply.status_code >= 400:
            raise Refused(f"HTTP {reply.status_code}: {_message(reply)}")
        try:
            data = reply.json()
        except ValueError as error:
            raise EngineError(f"{url} answered no JSON") from error
        if not isinstance(data, dict):
            raise EngineError(f"{url} answered no JSON object")
        return data

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def describe(self) -> dict[str, Any]:
        settings = {"base_urls": self.urls, "transport": f"{self.transport}/{server_payload.FORMATS[self.format]}"}
        return {"model": self.model, "version": self.version, "revision": None, "settings": settings}


def _response(answer: dict[str, Any], seconds: float, *, as_images: bool) -> Response:
    try:
        choice, used = answer["choices"][0], answer.get("usage") or {}
        text, finish = choice["message"].get("content"), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise EngineError(f"the server's answer has no choices[0].message: {str(answer)[:200]}") from error
    usage = {name: used[name] for name in ("prompt_tokens", "completion_tokens") if isinstance(used.get(name), int)}
    cached = (used.get("prompt_tokens_details") or {}).get("cached_tokens")
    usage |= {"cached_tokens": cached} if isinstance(cached, int) else {}
    usage |= {"shown_as_images": 1} if as_images else {}
    return Response(text or "", finish, usage, seconds)


def _wait(state: RetryCallState) -> float:
    """Random exponential backoff; a Retry-After, when the server gave one, plus up to a second."""
    error = state.outcome.exception() if state.outcome else None
    drawn = wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)
    if isinstance(error, _Busy) and error.wait is not None:
        return min(error.wait + min(drawn, 1.0), LONGEST_WAIT)
    return drawn


def _retry_after(reply: httpx.Response) -> float | None:
    try:
        return max(0.0, float(reply.headers["retry-after"]))
    except (KeyError, ValueError):  # absent, or a date: the backoff's own wait does
        return None


def _message(reply: httpx.Response) -> str:
    """The server's own message: `error.message` of OpenAI's form, else the start of the body."""
    try:
        data = reply.json()
        error = data.get("error")
        text = error["message"] if isinstance(error, dict) else data.get("message") or data["detail"]
    except (ValueError, KeyError, TypeError, AttributeError):
        text = reply.text
    return " ".join(str(text).split())[:400]


def _endpoint(url: str) -> str:
    bare = url.rstrip("/")
    if not bare.startswith(("http://", "https://")):
        raise ViubenchError(f"not a URL: {url}", where="--base-url", hint="for example http://127.0.0.1:8000/v1")
    return bare if bare.endswith("/v1") else bare + "/v1"
