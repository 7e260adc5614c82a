"""Several answers to each question: asked for one by one, resumed one by one, each with a seed of its own."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replica_engines import Echo, asked
from replica_engines import sample as bare

import evaluators
from viubench.engines.base import Engine, Request, Response
from viubench.errors import EngineError, ViubenchError
from viubench.runner import loop, pipeline
from viubench.runner.parallel.coordinator import Replicas
from viubench.runner.parallel.process import Processes
from viubench.runner.parallel.worker import ReplicaSpec
from viubench.runner.plan import Attempt, Plan
from viubench.schema import Clip, Decoding, Manifest, Protocol, Record, Resize, Sample, Sampling
from viubench.storage.run_dir import RunFolder, read_records
from viubench.video.frame_cache import FrameCache
from viubench.video.loader import Media
from viubench.video.process_pool import KillablePool

CHOICE = evaluators.get("choice")


class Stop(Exception):
    """The run is killed here."""


class Scripted(Engine):
    """An engine with a temperature: what it says follows from the seed of the request. It dies before request `dies`,
    and cannot answer those whose place is among `fails`."""

    kind: ClassVar[str] = "scripted"
    needs_media: ClassVar[bool] = False

    def __init__(self, dies: int = -1, fails: frozenset[int] = frozenset(), at_once: int = 3) -> None:
        self.dies, self.fails, self.max_in_flight = dies, fails, at_once
        self.requests: list[Request] = []

    async def generate(self, request: Request) -> Response:
        place = len(self.requests)
        if place == self.dies:
            raise Stop
        self.requests.append(request)
        await asyncio.sleep(0)
        if place in self.fails:
            raise EngineError("busy")
        draw = hashlib.sha256(f"{request.sample.id} {request.seed}".encode()).digest()[0]
        return Response("ABC?"[draw % 4], "stop")

    def describe(self) -> dict[str, Any]:
        return {"model": "scripted"}


def plan_of(questions: int, answers: int, seed: int = 0, **decoding: Any) -> Plan:
    protocol = Protocol(protocol="p", decoding=Decoding(temperature=1, samples=answers, **decoding))
    return Plan([bare(f"q{n}", f"v{n % 2}") for n in range(questions)], {"t": protocol}, {"t": CHOICE}, seed=seed)


def manifest() -> Manifest:
    empty: dict[str, Any] = {key: {} for key in ("protocols", "tasks", "packages", "hardware")}
    return Manifest.model_validate(
        empty | {"argv": [], "model": {"name": "m"}, "engine": {"kind": "fake"}, "seed": 0, "started": ""}
    )


def go(path: Path, plan: Plan, engine: Engine) -> dict[tuple[str, int], Record]:
    """Run or resume, and what stands in the folder then."""
    with RunFolder.claim(path) as folder:
        folder.begin(manifest())
        whole = pipeline.Pipeline(plan, engine, None, folder.path, frozenset())
        try:
            asyncio.run(loop.run(plan, whole, folder))
        except* Stop:
            pass
    records = list(read_records(path))
    assert len({record.key for record in records}) == len(records), "an answer was recorded twice"
    return {record.key: record for record in records}


def untimed(records: dict[tuple[str, int], Record]) -> dict[tuple[str, int], Record]:
    return {key: record.model_copy(update={"seconds": {}}) for key, record in records.items()}


@settings(max_examples=25)
@given(
    questions=st.integers(1, 5), answers=st.integers(1, 5), dies=st.integers(0, 20), at_once=st.integers(1, 4),
    fails=st.frozensets(st.integers(0, 20), max_size=4),
)  # fmt: skip
def test_killed_and_resumed_asks_only_for_what_is_missing_and_gets_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    questions: int,
    answers: int,
    dies: int,
    at_once: int,
    fails: frozenset[int],
) -> None:
    plan = plan_of(questions, answers)
    whole = go(tmp_path_factory.mktemp("whole"), plan, Scripted())
    assert set(whole) == {(sample.id, n) for sample in plan.samples for n in range(answers)}
    assert plan.answers == len(whole)
    path = tmp_path_factory.mktemp("killed")
    first = go(path, plan, Scripted(dies, fails, at_once))
    done = {key for key, record in first.items() if record.status != "engine_error"}
    second = Scripted()
    assert untimed(go(path, plan, second)) == untimed(whole)
    assert {(one.sample.id, one.number) for one in second.requests} == set(whole) - done


def test_a_record_of_an_answer_that_the_run_does_not_ask_for_is_refused(tmp_path: Path) -> None:
    go(tmp_path / "a", plan_of(2, 3), Scripted())
    with pytest.raises(ViubenchError, match=r"2 records are of no answer .* the first is number 2 of q0"):
        go(tmp_path / "a", plan_of(2, 2), Scripted())


def test_each_answer_has_a_seed_that_follows_from_the_runs_the_question_and_its_number() -> None:
    def seeds(plan: Plan) -> list[int]:
        return [plan.seed_of(attempt) for sample in plan.samples for attempt in plan.attempts(sample)]

    found = seeds(plan_of(3, 4))
    assert len(set(found)) == 12
    assert all(0 <= seed < 2**31 for seed in found)
    assert found == seeds(plan_of(3, 4))
    assert not set(found) & set(seeds(plan_of(3, 4, seed=1)))
    assert plan_of(1, 1).seed_of(Attempt(bare("q0"))) == found[0], "the first answer is that of a run of one"


def test_a_protocols_seed_stands_for_the_runs() -> None:
    protocol = Protocol(protocol="p", decoding=Decoding(samples=2, seed=5))
    one, two = (Plan([bare("q")], {"t": protocol}, {"t": CHOICE}, seed=seed) for seed in (0, 1))
    attempts = one.attempts(bare("q"))
    assert [one.seed_of(attempt) for attempt in attempts] == [two.seed_of(attempt) for attempt in attempts]
    assert one.seed_of(attempts[0]) == plan_of(1, 1, seed=5).seed_of(Attempt(bare("q")))


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_the_engine_broke_off_is_tried_again(tmp_path: Path, reason: str) -> None:
    class Broken(Scripted):
        async def generate(self, request: Request) -> Response:
            return Response("B", reason)

    assert {record.status for record in go(tmp_path, plan_of(2, 2), Broken()).values()} == {"engine_error"}
    assert "engine_error" not in {record.status for record in go(tmp_path, plan_of(2, 2), Scripted()).values()}


def test_the_frames_of_a_question_are_made_once_for_all_its_answers(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Looks(Scripted):
        needs_media: ClassVar[bool] = True

    made: Counter[str] = Counter()
    apply: Callable[..., Any] = pipeline.shown

    def counted(sample: Sample, loaded: Any) -> Any:
        made[sample.id] += 1
        return apply(sample, loaded)

    monkeypatch.setattr(pipeline, "shown", counted)
    names = sorted(path.name for path in clips.iterdir())[:2]
    samples = [replace(bare(name), clips=(Clip(path=name),)) for name in [*names, "gone.mp4"]]
    protocol = Protocol(
        protocol="p", sampling=Sampling(frames=4), resize=Resize(max_pixels=4096, min_pixels=1024),
        decoding=Decoding(samples=6),
    )  # fmt: skip
    plan = Plan(samples, {"t": protocol}, {"t": CHOICE}, {"t": clips})
    engine = Looks()
    with KillablePool(1, 60) as pool, RunFolder.claim(tmp_path / "run") as folder:
        folder.begin(manifest())
        media = Media(FrameCache(tmp_path / "cache"), pool)
        whole = pipeline.Pipeline(plan, engine, media, folder.path, frozenset())
        asyncio.run(loop.run(plan, whole, folder))
    assert made == dict.fromkeys(names, 1)
    assert (whole.budget.used, whole._shared, media.decoded) == (0, {}, 3), "one file is not there"
    arrays = {id(request.videos[0].pixels) for request in engine.requests}
    assert len(arrays) == 2
    records = list(read_records(tmp_path / "run"))
    assert Counter(record.status == "media_error" for record in records) == {False: 12, True: 6}
    assert {record.number for record in records} == set(range(6))


def test_replicas_give_every_answer(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").touch()
    plan = plan_of(6, 3)
    spec = ReplicaSpec(partial(Echo, tmp_path), plan, tmp_path)
    replicas = Replicas(Echo(tmp_path), Processes(spec, 2), print)
    records: list[Record] = []
    attempts = [attempt for sample in plan.samples for attempt in plan.attempts(sample)]
    asyncio.run(replicas.answer_all(attempts, records.append, lambda: None))
    assert sorted(record.key for record in records) == sorted(attempt.key for attempt in attempts)
    assert len(asked(tmp_path)) == 18
