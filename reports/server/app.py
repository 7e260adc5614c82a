"""The viewer as an application: an address a page, each made when it is asked for, from files that are only read.

Example:
    app = make_app([Path("runs")], token="...", hosts={"127.0.0.1"})

Pages are those of the offline reports where there is one (comparison, watch), and have the same templates, styles and
scripts where there is none.
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from reports.html.escape import clean, json_text, one_line
from reports.server import pages
from reports.server.guard import Guard
from reports.server.progress import Progress
from reports.server.sample_search import Wanted
from reports.server.shown_frames import NoFrames, ShownFrames
from reports.server.workspace import Workspace
from viubench.errors import ViubenchError

JPEG = {"content-type": "image/jpeg"}
META = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def make_app(
    folders: Sequence[Path],
    *,
    token: str,
    hosts: Collection[str],
    anywhere: bool = False,
    videos: Sequence[Path] = (),
    cache: Path | None = None,
) -> Guard:
    """The viewer of what lies in these folders, for whoever has the token.

    Args:
        hosts, anywhere: under which names it answers (see `Guard`).
        videos: folders in which videos are looked for.
        cache: of frames; the usual one by default.

    Raises:
        ViubenchError: nothing is there to be shown.
    """
    viewer = Viewer(Workspace(folders), ShownFrames(videos, cache))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        viewer.frames.close()

    routes = [Route(path, endpoint, methods=["GET"]) for path, endpoint in viewer.routes().items()]
    errors = {HTTPException: _refused, ViubenchError: _told, Exception: _told}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=errors)
    return Guard(app, token, hosts, anywhere=anywhere)


class Viewer:
    """What the addresses share."""

    def __init__(self, workspace: Workspace, frames: ShownFrames) -> None:
        self.workspace, self.frames, self.progress = workspace, frames, Progress()

    def routes(self) -> dict[str, Callable[[Request], Any]]:
        return {
            "/": self.home,
            "/status.json": self.status,
            "/samples": self.samples,
            "/samples.json": self.found_samples,
            "/frames/{key}": self.strip,
            "/run/{key}": self.run,
            "/compare": self.compare,
            "/training/{key}": self.training,
            "/watch/{key}": self.watch,
        }

    # Functions that are no coroutines run in a thread each, so that reading holds up nobody.

    def home(self, request: Request) -> Response:
        runs = self.workspace.runs()
        return _page(pages.home(self.workspace, runs, self.progress.of(runs)))

    def status(self, request: Request) -> Response:
        keys = request.query_params.getlist("run")
        runs = [run for run in self.workspace.runs() if not keys or run.key in keys]
        return _json({"runs": self.progress.of(runs), "known": len(self.workspace.found().runs)})

    def samples(self, request: Request) -> Response:
        runs = self.workspace.chosen(request.query_params.getlist("run"))
        return _page(pages.samples(runs))

    def found_samples(self, request: Request) -> Response:
        runs = self.workspace.chosen(request.query_params.getlist("run"))
        return _json(self.workspace.search(runs).page(_wanted(request)))

    async def strip(self, request: Request) -> Response:
        run = self._run(request)
        at = request.query_params.get("at", "")
        if not (at.isascii() and at.isdigit() and len(at) < 16):
            raise HTTPException(404)
        record = next(iter(self.workspace.search([run]).indexes[0].records([int(at)]).values()), None)
        if record is None:
            raise HTTPException(404)
        try:
            return Response(await self.frames.strip(run.data, record), headers=JPEG)
        except NoFrames as why:
            return PlainTextResponse(one_line(str(why)), 404)

    def run(self, request: Request) -> Response:
        run = self._run(request)
        return _page(pages.run(run, self.progress.of([run])[0]))

    def compare(self, request: Request) -> Response:
        keys = [request.query_params.get(name, "") for name in ("a", "b")]
        known = {run.key: run for run in self.workspace.runs()}
        if not all(key in known for key in keys):
            raise HTTPException(404)
        return _page(pages.compare(*(known[key] for key in keys)))

    def training(self, request: Request) -> Response:
        step = request.query_params.get("step", "")
        place = _place(self.workspace.found().trainings, request)
        chosen = int(step) if step.isascii() and step.isdigit() and len(step) < 10 else None
        return _page(pages.training(self.workspace, place, chosen))

    def watch(self, request: Request) -> Response:
        return _page(pages.watch(self.workspace, _place(self.workspace.found().watches, request)))

    def _run(self, request: Request) -> Any:
        try:
            return self.workspace.run(request.path_params["key"])
        except KeyError:
            raise HTTPException(404) from None


def _place(places: Sequence[Any], request: Request) -> Any:
    found = next((place for place in places if place.key == request.path_params["key"]), None)
    if found is None:
        raise HTTPException(404)
    return found


def _wanted(request: Request) -> Wanted:
    given = request.query_params
    texts = {field.name: given.get(field.name, "") for field in fields(Wanted) if field.name != "page"}
    page = given.get("page", "")
    return Wanted(**texts, page=int(page) if page.isascii() and page.isdigit() and len(page) < 10 else 0)


def _page(text: str, code: int = 200) -> Response:
    """A page under the policy that it has itself, and in no frame."""
    found = META.search(text)
    policy = html.unescape(found[1]) if found else "default-src 'none'"
    return HTMLResponse(text, code, {"content-security-policy": f"{policy}; frame-ancestors 'none'"})


def _json(data: Any) -> Response:
    """JSON data, cleaned as what a page holds is."""
    return Response(json_text(data).encode("utf-8", "replace"), media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    return _page(pages.message("There is no such page."), code) if code == 404 else PlainTextResponse("", code)


async def _told(request: Request, error: Exception) -> Response:
    """What is wrong with the files, in words; a fault of the viewer shows no more than its name."""
    said = error.message if isinstance(error, ViubenchError) else f"this is a bug: {type(error).__name__}"
    return _page(pages.message(clean(f"{said}.")), 500)
