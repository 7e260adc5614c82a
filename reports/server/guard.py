"""Who may read the viewer: whoever knows the token of its address, from this machine's own pages, and nobody else.

Example:
    app = Guard(app, token=secrets.token_urlsafe(24), hosts={"127.0.0.1", "localhost"})

The first request has the token in its address and gets it as a cookie, so that it is in no later address. A request is
refused that has another Host (a name made to lead here, DNS rebinding), comes from a page of another origin, would
change something, or names a path that is not plain.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Collection
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PLAIN = re.compile(rb"/[A-Za-z0-9_./-]*")
"""What a path is made of; escapes (`%2e`) are none of it."""

LONGEST = 4_096
"""Bytes of a query."""

SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of a response that brings none of its own."""

ICON = "/favicon.ico"
"""What browsers ask for unasked; there is none, which is no fault."""

ENTER = '<!doctype html><html lang="en"><meta http-equiv="refresh" content="0;url=/"><title>viubench</title>'
"""Leads on from the address with the token; what this page asks for comes from our own origin."""


class Guard:
    """Refuses what is not the reader's own request; adds the headers of `SAFE` to every response.

    Args:
        hosts: names that the Host header may have, beside addresses in figures where `anywhere`.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str], *, anywhere: bool = False) -> None:
        self.app = app
        self.token = token
        self.hosts = frozenset(hosts)
        self.anywhere = anywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        # A web socket is not accepted.

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower(), value) for name, value in message["headers"]]
                known = {name for name, _ in own}
                added = {**SAFE, "content-security-policy": NOTHING}
                own += [(name.encode(), text.encode()) for name, text in added.items() if name.encode() not in known]
                message = {**message, "headers": own}
            await send(message)

        request = Request(scope)
        await (self._refusal(request) or self._entry(request) or self.app)(scope, receive, safe)

    def _refusal(self, request: Request) -> Response | None:
        """Why a request is not answered, whoever sent it; None where it may be."""
        path, headers = request.scope.get("raw_path") or request.scope["path"].encode(), request.headers
        if request.method != "GET":
            return PlainTextResponse("The viewer only reads.", 405, {"allow": "GET"})
        if not PLAIN.fullmatch(path) or b".." in path or b"//" in path or len(request.url.query) > LONGEST:
            return PlainTextResponse("There is no such page.", 400)
        if len(headers.getlist("host")) != 1 or not self._ours(headers["host"]):
            return PlainTextResponse("The viewer does not answer to this name.", 403)
        if "origin" in headers and headers["origin"] != f"http://{headers['host']}":
            return PlainTextResponse("The viewer answers its own pages alone.", 403)
        return None

    def _entry(self, request: Request) -> Response | None:
        """What a request gets that has not come in yet; None where it has, from one of our own pages."""
        if request.scope["path"] == ICON:
            return Response(status_code=204)
        given = parse_qs(request.url.query).get("token", [""])[0]
        cookie = f"viubench-{(request.scope.get('server') or ('', 0))[1]}"
        if given:
            if not self._knows(given):
                return PlainTextResponse("The token is wrong: open the address that viubench view printed.", 403)
            entered = HTMLResponse(ENTER)
            entered.set_cookie(cookie, self.token, httponly=True, samesite="strict", path="/")
            return entered
        if not self._knows(request.cookies.get(cookie, "")):
            return PlainTextResponse("Open the address that viubench view printed: it has the token.", 403)
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return PlainTextResponse("The viewer answers its own pages alone.", 403)
        return None

    def _knows(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())

    def _ours(self, host: str) -> bool:
        """Whether a Host header names this machine; its port may be that of a tunnel."""
        name = re.sub(r":[0-9]{1,5}$", "", host).strip("[]").lower()
        if name in self.hosts:
            return True
        try:
            return self.anywhere and bool(ipaddress.ip_address(name))
        except ValueError:
            return False
