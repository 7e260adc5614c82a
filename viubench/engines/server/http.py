"""Requests to a server: sent in turn to its addresses, tried again while it is busy, each try within a time limit.

Example:
    async with Connection(Settings.read({"retries": "2"}), ["http://127.0.0.1:8000/v1"]) as server:
        reply = await server.post("/chat/completions", {"model": "m", "messages": []})
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from viubench.engines.server.arguments import Settings
from viubench.engines.server.message import one_line, text_of
from viubench.engines.server.rate_limit import RateLimit
from viubench.engines.server.stream import Body, Broken, parsed
from viubench.errors import EngineError, ViubenchError
from viubench.storage import secrets

RETRIED = frozenset({408, 409, 425, 429})
NOT_RETRIED = frozenset({501, 505, 511})
"""Of the statuses from 500 on, those that another try cannot change."""

ABORTED = frozenset({"abort", "aborted", "error", "cancelled", "canceled"})
"""Reasons to finish that are no answer."""

LONGEST_WAIT = 60.0
"""Seconds between two tries at most, whatever a Retry-After asks for."""

TIMEOUT, SLOWEST = 600.0, 20.0
"""Seconds of a try where none are given: these, and one for so many tokens that may be generated."""

CONNECT = 10.0
"""Seconds to reach a server."""

_TITLE = re.compile(r"<title[^>]{0,200}>\s{0,200}([^<>]{1,400})</title>", re.IGNORECASE)


class Refused(EngineError):
    """The server refused the request (3xx, 4xx, or an error in place of an answer)."""

    def __init__(self, message: str, status: int, words: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.words = words


class Failed(EngineError):
    """No answer after all tries; `status` is the last HTTP status, None where there was none."""

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class Busy(Exception):
    """A try that another one may mend, after `wait` seconds where the server said so."""

    def __init__(self, message: str, status: int | None = None, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


class TooLate(Exception):
    """The server asks for a longer wait than all tries together have."""

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Reply:
    """A JSON object, and the seconds from the request to the first piece of its text and to its end."""

    data: dict[str, Any]
    first_token: float | None
    seconds: float


class Connection(AbstractAsyncContextManager["Connection"]):
    """The addresses of one model. A request goes to the next of them, so that one may be down."""

    def __init__(self, settings: Settings, urls: Sequence[str], in_flight: int = 8) -> None:
        self.settings = settings
        self.urls, self._basic = _without_users(urls, settings)
        self.limit = RateLimit(settings.requests_per_minute, settings.tokens_per_minute)
        self._in_flight = in_flight
        self._turn = itertools.cycle(range(len(self.urls)))
        self._client: Any = None

    async def __aenter__(self) -> Connection:
        self._client = httpx.AsyncClient(
            headers={**self.settings.headers, "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(None, connect=CONNECT),  # a whole try has its own limit
            limits=httpx.Limits(max_connections=self._in_flight + len(self.urls)),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def get(self, url: str) -> dict[str, Any]:
        """The JSON object at one address; raises as `post`."""
        return (await self._tries("GET", itertools.repeat(url), None)).data

    async def post(self, path: str, body: Mapping[str, Any], *, above: bool = False, once: bool = False) -> Reply:
        """Ask one of the addresses; `above` its version (`/v1`), `once` without further tries. Raises Refused, or
        Failed after the last try."""
        roots = (root_of(url) if above else url for url in map(self.urls.__getitem__, self._turn))
        return await self._tries("POST", (at(root, path) for root in roots), body, once=once)

    async def post_to(self, url: str, body: Mapping[str, Any]) -> Reply:
        """Ask this address, once; raises as `post`."""
        return await self._tries("POST", itertools.repeat(url), body, once=True)

    async def takes(self, url: str) -> bool:
        """Whether questions are taken at `url`: an empty one is answered otherwise than by "not found"."""
        try:
            async with (
                asyncio.timeout(CONNECT),
                self._client.stream("POST", url, json={}, headers=self._user(url)) as reply,
            ):
                status = reply.status_code  # what it says beside that, however long, is not read
        except (httpx.HTTPError, TimeoutError):  # something is there that cannot cope with an empty question
            return True
        return status not in (404, 405)

    def _user(self, url: str) -> dict[str, str]:
        basic = self._basic.get(urlsplit(url).netloc)
        return {"Authorization": basic} if basic else {}

    async def _tries(
        self, method: str, urls: Iterator[str], body: Mapping[str, Any] | None, *, once: bool = False
    ) -> Reply:
        tries = 1 if once else 1 + self.settings.retries
        stop, retry = stop_after_attempt(tries), retry_if_exception_type(Busy)
        try:
            return await AsyncRetrying(stop=stop, wait=wait, retry=retry, reraise=True)(self._try, method, urls, body)
        except Busy as error:
            raise Failed(f"{error}, after {tries} {'try' if tries == 1 else 'tries'}", error.status) from error
        except TooLate as error:
            raise Failed(str(error), error.status) from error

    async def _try(self, method: str, urls: Iterator[str], body: Mapping[str, Any] | None) -> Reply:
        url, limit = next(urls), self._seconds(body)
        if body is not None:
            await self.limit.turn()
        began = time.perf_counter()
        try:
            async with asyncio.timeout(limit):
                data, first = await self._exchange(method, url, body)
        except TimeoutError:
            raise Busy(f"{url}: ReadTimeout after {limit:g} s") from None
        except Broken as error:
            raise Busy(f"{url}: {one_line(str(error))}") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Busy(f"{url}: {_reason(error)}") from error
        except httpx.InvalidURL as error:
            raise EngineError(f"{url}: {error}") from None
        except Busy as error:
            if error.wait is not None and error.wait > LONGEST_WAIT * max(self.settings.retries, 1):
                raise TooLate(f"{error}; it asks to wait {error.wait:.0f} s", error.status) from None
            raise
        _raise_for_error(url, data)
        return Reply(data, None if first is None else first - began, time.perf_counter() - began)

    async def _exchange(
        self, method: str, url: str, body: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], float | None]:
        async with self._client.stream(method, url, json=body, headers=self._user(url)) as reply:
            content = Body(reply.headers.get("content-type", "") if reply.status_code < 300 else "")
            try:
                async for piece in reply.aiter_bytes():
                    content.feed(piece)
            except EngineError:
                if reply.status_code < 300:
                    raise
            if reply.status_code >= 300:
                raise _refusal(url, reply, content.raw())
            return await asyncio.to_thread(content.answer), content.first_token

    def _seconds(self, body: Mapping[str, Any] | None) -> float:
        if self.settings.timeout is not None:
            return self.settings.timeout
        most = max(int((body or {}).get(name, 0)) for name in ("max_tokens", "max_completion_tokens"))
        return TIMEOUT + most / SLOWEST


def wait(state: RetryCallState) -> float:
    """Random exponential backoff; a Retry-After, when the server gave one, plus up to a second."""
    error = state.outcome.exception() if state.outcome else None
    drawn = wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)
    if isinstance(error, Busy) and error.wait is not None:
        return min(error.wait + min(drawn, 1.0), LONGEST_WAIT)
    return drawn


def root_of(url: str) -> str:
    """The address above the version: where vLLM has what is not OpenAI's."""
    return url.removesuffix("/v1")


def at(url: str, path: str) -> str:
    """`path` below an address, before what the address has after a question mark (`?api-version=...`)."""
    base, mark, query = url.partition("?")
    return base.rstrip("/") + path + mark + query


def retry_after(value: str) -> float | None:
    """Seconds that a Retry-After header asks for, given as a number or a date; None where it is neither."""
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError, OverflowError):
        date = parsedate_to_datetime(value)
        return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
    return None


def _without_users(urls: Sequence[str], settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Addresses without user and password, and the Authorization header that these become, by host."""
    bare, basic = [], {}
    for url in urls:
        user, sign, host = urlsplit(url).netloc.rpartition("@")
        bare.append(url.replace(user + sign, "", 1) if sign else url)
        if not sign:
            continue
        if settings.own_key:
            raise ViubenchError(
                "the address has a user and password, and a key is given too",
                where="--base-url",
                hint="leave one of them out: a request carries one Authorization",
            )
        secrets.hide(user)
        secrets.hide(user.partition(":")[2])
        basic[host] = "Basic " + base64.b64encode(unquote(user).encode()).decode()
    return bare, basic


def _refusal(url: str, reply: httpx.Response, data: bytes) -> Exception:
    words = _words(data) or reply.headers.get("location", "") or reply.reason_phrase
    message = f"HTTP {reply.status_code}: {one_line(words)}"
    if retried(reply.status_code):
        return Busy(f"{url}: {message}", reply.status_code, retry_after(reply.headers.get("retry-after", "")))
    return Refused(message, reply.status_code, words)


def retried(status: int) -> bool:
    """Whether another try may bring what this HTTP status did not."""
    return status in RETRIED or (500 <= status < 600 and status not in NOT_RETRIED)


def _raise_for_error(url: str, data: dict[str, Any]) -> None:
    """Some gateways answer 200 and say in the body that it failed, for all or for the one choice."""
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    error = data.get("error") or choice.get("error") or (not choices and _said(data) and data)
    finish = str(choice.get("finish_reason")).lower()
    if not error and finish in ABORTED:
        raise Busy(f"{url}: the server ended the answer: {finish}")
    if not error:
        return
    code = error.get("code") if isinstance(error, dict) else None
    words = one_line(_words(json.dumps({"error": error}).encode()))
    code = int(code) if isinstance(code, str) and code.isdecimal() and len(code) == 3 else code
    if isinstance(code, int) and 300 <= code < 500 and not retried(code):
        raise Refused(f"the server answered an error ({code}): {words}", code, words)
    raise Busy(f"{url}: the server answered an error: {words}", code if isinstance(code, int) else None)


def _words(data: bytes) -> str:
    """The server's own message: `error.message` of OpenAI's form, the title of a page, else the start of the body."""
    with suppress(EngineError):
        parts = parsed(data)
        error = parts.get("error")
        words = (_said(error) if isinstance(error, dict) else error) or _said(parts)
        if isinstance(error, dict) and isinstance(error.get("param"), str):
            words = f"{words} ({error['param']})"
        if words:
            return text_of(words) or json.dumps(words)
    text = data[:4000].decode("utf-8", "replace")
    title = _TITLE.search(text)
    return title[1] if title else text


def _said(parts: Mapping[str, Any]) -> Any:
    """What an object says of an error, under the names that servers give it."""
    return next((parts[name] for name in ("message", "detail", "msg") if parts.get(name)), None)


def _reason(error: Exception) -> str:
    """Never empty: httpx leaves the text of a reset to its causes, and often they have none either."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < 9:
        causes.append(cause)
    said = next((str(cause) for cause in causes if str(cause)), "")
    return one_line(f"{type(error).__name__}: {said}" if said else f"{type(error).__name__}, the connection was lost")
