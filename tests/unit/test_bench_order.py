"""The bench of order: what an engine that is swayed by its neighbours is caught at, and one that is not, is not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from tests.bench import order
from viubench.engines.base import Engine, Request, Response
from viubench.runner import planning
from viubench.runner.config import EvalConfig
from viubench.schema import Decoding, Sample
from viubench.video.frame_cache import FrameCache


class Swayed(Engine):
    """Its answers depend on how many requests are under way, unless it is deterministic."""

    kind: ClassVar[str] = "fake"

    def __init__(self, deterministic: bool) -> None:
        self.deterministic = deterministic
        self.now = self.most = 0

    async def generate(self, request: Request) -> Response:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        beside = 0 if self.deterministic else self.now - 1
        await asyncio.sleep(0)
        self.now -= 1
        name = request.sample.id
        return Response("other" if beside and name == "3" else name, logprobs=(-0.5 - beside / 64, -0.25))

    def describe(self) -> dict[str, Any]:
        return {}


def asked(name: str) -> Request:
    sample = Sample(id=name, task="t", cluster="c", clips=(), question="?", target=None, answer_text="")
    return Request(sample, (), (), Decoding())


def rows(deterministic: bool) -> tuple[list[order.OrderRow], Swayed]:
    engine = Swayed(deterministic)

    async def run() -> list[order.OrderRow]:
        return [row async for row in order.compare(engine, [asked(str(n)) for n in range(8)], 4)]

    return asyncio.run(run()), engine


def test_what_depends_on_its_neighbours_is_measured() -> None:
    found, engine = rows(False)
    assert engine.most == 4
    assert [row.what for row in found] == ["one at a time", "4 at once", "other order, 4 at once"]
    assert [row.n for row in found] == [8, 8, 8]
    assert (found[0].answers, found[0].logprob) == (0.0, 0.0)
    assert (found[1].answers, found[1].logprob) == (1 / 8, 3 / 64)
    assert all((row.answers, row.logprob) == (0.0, 0.0) for row in rows(True)[0])


def test_the_requests_are_those_of_a_run(clips: Path, tmp_path: Path) -> None:
    store = FrameCache(tmp_path / "store")
    config = EvalConfig(tasks="viubench_jigsaw_easy", engine="oracle", videos=clips, limit=2)
    planned = planning.make_plan(config, tmp_path / "out")
    (first,) = order.requests(planned, store, 1)
    assert first.sample.id in {sample.id for sample in planned.samples}
    assert len(first.videos) == len(first.media_ids) == first.sample.question.count("<video>") == 6
