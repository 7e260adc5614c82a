"""The runner with an engine of the test's own: order, bounds, failures, and what goes into a record."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

import evaluators
from viubench.engines.base import Engine, Request, Response
from viubench.errors import EngineError, ViubenchError
from viubench.runner import loop, pipeline
from viubench.runner.plan import Attempt, Plan
from viubench.schema import Clip, Manifest, Protocol, Record, Resize, Sample, Sampling
from viubench.storage.run_dir import RunFolder, read_records
from viubench.video.frame_cache import FrameCache
from viubench.video.loader import ByteBudget, Media
from viubench.video.process_pool import KillablePool

SMALL = Protocol(
    protocol="small", sampling=Sampling(kind="fps", fps=2, frames=6), resize=Resize(max_pixels=4096, min_pixels=1024)
)


class Fake(Engine):
    """Answers "B", fails on ids that end with x, and watches how many requests are under way."""

    kind: ClassVar[str] = "fake"
    max_in_flight = 3

    def __init__(self) -> None:
        self.now = self.most = 0
        self.order: list[str] = []
        self.ids: dict[str, tuple[str, ...]] = {}
        self.closed = False

    async def generate(self, request: Request) -> Response:
        self.now += 1
        self.most = max(self.most, self.now)
        self.order.append(request.sample.cluster)
        self.ids[request.sample.id] = request.media_ids
        await asyncio.sleep(0.005)
        self.now -= 1
        if request.sample.id.endswith("x"):
            raise EngineError("no answer for x")
        return Response("B", "stop", {"prompt_tokens": len(request.videos[0])})

    async def close(self) -> None:
        self.closed = True

    def describe(self) -> dict[str, Any]:
        return {"model": "fake"}


def sample(name: str, path: str) -> Sample:
    return Sample(
        id=name, task="t", cluster=path, clips=(Clip(path=path),), question="<video> A or B?", target="B",
        answer_text="B", options=("it falls", "it rises"),
    )  # fmt: skip


def manifest() -> Manifest:
    empty: dict[str, Any] = {key: {} for key in ("protocols", "tasks", "packages", "hardware")}
    return Manifest.model_validate(
        empty | {"argv": [], "model": {"name": "fake"}, "engine": {"kind": "fake"}, "seed": 0, "started": ""}
    )


def go(tmp_path: Path, samples: list[Sample], engine: Engine, root: Path) -> dict[str, Record]:
    plan = Plan(samples, {"t": SMALL}, {"t": evaluators.get("choice")}, {"t": root})
    with KillablePool(1, 60) as pool, RunFolder.claim(tmp_path / "run") as folder:
        folder.begin(manifest())
        media = Media(FrameCache(tmp_path / "store"), pool)
        whole = pipeline.Pipeline(plan, engine, media, folder.path, frozenset())
        asyncio.run(loop.run(plan, whole, folder))
        return {record.id: record for record in read_records(tmp_path / "run")}


def test_every_sample_gets_one_record_whatever_becomes_of_it(clips: Path, tmp_path: Path) -> None:
    first, second = sorted(path.name for path in clips.iterdir())[:2]
    samples = [sample(f"{number}{end}", path) for number in range(3) for end, path in (("a", first), ("x", second))]
    samples.append(sample("gone", "gone.mp4"))
    engine = Fake()
    records = go(tmp_path, samples, engine, clips)
    assert {name: record.status for name, record in records.items()} == {
        "0a": "ok", "1a": "ok", "2a": "ok", "0x": "engine_error", "1x": "engine_error", "2x": "engine_error",
        "gone": "media_error",
    }  # fmt: skip
    assert records["gone"].error is not None
    assert records["gone"].error.fault == "missing"
    assert records["0x"].error is not None
    assert records["0x"].error.detail == "no answer for x"
    frames = records["0a"].frames
    assert frames is not None
    assert len(frames.indices) == records["0a"].usage["prompt_tokens"] == 6
    assert frames.times[0] == 0
    assert engine.most <= engine.max_in_flight
    assert engine.closed


def test_a_record_names_its_files_where_their_group_does_not() -> None:
    pretext = replace(sample("a", "/data/clips/pour tea.mp4"), cluster="6cd342fe039a0449")
    assert pipeline.failed(Attempt(pretext, 0), "media_error", "missing", "").files == ["pour tea.mp4"]
    grouped = replace(pretext, cluster="clips/pour tea.mp4")
    assert "files" not in pipeline.failed(Attempt(grouped, 0), "media_error", "missing", "").model_dump()


def test_questions_of_one_video_are_neighbours_and_share_their_media_id(clips: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in clips.iterdir())
    samples = [sample(f"{number}", names[number % 3]) for number in range(12)]
    engine = Fake()
    engine.max_in_flight = 1
    go(tmp_path, samples, engine, clips)
    changes = sum(one != two for one, two in zip(engine.order, engine.order[1:], strict=False))
    assert changes == 2
    assert len({engine.ids[str(number)] for number in range(0, 12, 3)}) == 1
    assert len(set(engine.ids.values())) == 3


def test_an_engine_that_cannot_be_trusted_ends_the_run_and_keeps_what_is_done(clips: Path, tmp_path: Path) -> None:
    class Distrusted(Fake):
        async def generate(self, request: Request) -> Response:
            if request.sample.id == "3":
                raise ViubenchError("the prompt lacks its timestamps")
            return await super().generate(request)

    name = sorted(path.name for path in clips.iterdir())[0]
    engine = Distrusted()
    engine.max_in_flight = 1
    with pytest.raises(ViubenchError, match="lacks its timestamps"):
        go(tmp_path, [sample(str(number), name) for number in range(6)], engine, clips)
    assert engine.closed
    again = go(tmp_path, [sample(str(number), name) for number in range(6)], Fake(), clips)
    assert sorted(again) == [str(number) for number in range(6)]


def test_videos_are_decoded_while_the_engine_is_being_loaded(clips: Path, tmp_path: Path) -> None:
    class Slow(Fake):
        async def start(self) -> None:
            while len(list((tmp_path / "store").glob("*.frames"))) < 2:  # as blocking as a real start: no await
                time.sleep(0.01)

    names = sorted(path.name for path in clips.iterdir())[:2]
    records = go(tmp_path, [sample(name, name) for name in names], Slow(), clips)
    assert {record.status for record in records.values()} == {"ok"}


def test_frames_in_memory_are_bounded_by_bytes() -> None:
    async def trial() -> int:
        budget = ByteBudget(100)
        most = now = 0

        async def hold(size: int) -> None:
            nonlocal most, now
            async with budget.hold(size):
                now += size
                most = max(most, now)
                await asyncio.sleep(0.001)
                now -= size

        await asyncio.gather(*(hold(size) for size in (40, 40, 40, 90, 10, 500, 60)))
        assert budget.used == 0
        return most

    assert asyncio.run(trial()) == 500  # the one that is larger than the budget, alone


def test_the_videos_of_a_question_share_its_frames_or_have_their_own() -> None:
    two = replace(sample("a", "a"), clips=(Clip(path="a"), Clip(path="b"), Clip(path="c")))
    for budget, frames in (("per_item", 10), ("per_video", 32)):
        protocol = Protocol(protocol="p", sampling=Sampling(kind="fps", fps=2, frames=32), frame_budget=budget)
        plan = Plan([two], {"t": protocol}, {"t": evaluators.get("choice")}, {"t": Path("here")})
        wants = pipeline.frame_requests(two, plan)
        assert [(root, clip.path, how.frames) for root, clip, how, _ in wants] == [
            (Path("here"), name, frames) for name in "abc"
        ]
