"""Replicas: every sample answered once, whoever dies; a video stays with one replica; errors come back as they are."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import forked_replicas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replica_engines import Echo, asked, sample

import evaluators
from evaluators.plugins import registered
from evaluators.published import get_rule
from viubench.errors import Exit, ViubenchError
from viubench.runner.loop import in_video_order
from viubench.runner.parallel import devices
from viubench.runner.parallel.coordinator import RESTARTS, Died, Replica, Replicas, Transport
from viubench.runner.parallel.layout import Layout
from viubench.runner.parallel.process import Processes
from viubench.runner.parallel.queue import WorkQueue
from viubench.runner.parallel.ray_cluster import cluster
from viubench.runner.parallel.worker import Opened, ReplicaSpec
from viubench.runner.pipeline import failed
from viubench.runner.plan import Attempt, Plan
from viubench.schema import Protocol, Record, Sample, Sampling

PLAN = Plan((), {"t": Protocol(protocol="p", sampling=Sampling())}, {"t": evaluators.get("choice")}, {"t": Path("v")})


def answer(replicas: Replicas, samples: Sequence[Sample]) -> list[Record]:
    records: list[Record] = []
    asyncio.run(replicas.answer_all(list(map(Attempt, samples)), records.append, lambda: None))
    return records


def by_id(records: Sequence[Record]) -> dict[str, str]:
    assert len({record.id for record in records}) == len(records), "a sample was answered twice"
    return {record.id: record.status for record in records}


# --- who gets what --------------------------------------------------------------------------------------------------


def test_a_video_stays_with_one_replica_until_none_is_left_for_another() -> None:
    samples = [sample(f"{video}{number}", video) for video in "abc" for number in range(4)]
    queue = WorkQueue(list(map(Attempt, samples)), 2)
    taken: list[tuple[int, str]] = []
    for turn in range(12):
        found = queue.take(turn % 2, idle=True)
        assert found is not None
        taken.append((turn % 2, found.sample.id))
    owners = defaultdict(set)
    for replica, name in taken:
        owners[name[0]].add(replica)
    assert (owners["a"], owners["b"], owners["c"]) == ({0}, {1}, {0, 1})
    assert len({name for _, name in taken}) == 12
    assert queue.take(0, idle=True) is None


def test_a_suspect_goes_to_an_idle_replica_only() -> None:
    queue = WorkQueue([Attempt(sample("a")), Attempt(sample("b"))], 1)
    first = queue.take(0, idle=True)
    assert first is not None
    queue.retry(first)
    assert queue.take(0, idle=False) == Attempt(sample("b"))
    assert queue.take(0, idle=False) is None
    assert queue.take(0, idle=True) == first
    assert queue.suspected(first)


# --- deaths, in memory ----------------------------------------------------------------------------------------------


class Mortal(Replica):
    """Answers after a few turns of the loop; dies at random, and of samples named `kill...`."""

    def __init__(self, rng: random.Random, risk: float) -> None:
        self.rng, self.risk = rng, risk
        self.dead = asyncio.Event()
        self.closed = False
        self.now = 0

    async def open(self, soon: Sequence[Attempt]) -> Opened:
        await asyncio.sleep(0)
        if self.rng.random() < self.risk / 2:
            self.dead.set()
            raise Died("while it was started")
        return Opened({"model": "echo", "version": "9"}, True)

    async def answer(self, one: Attempt) -> Record:
        self.now += 1
        for _ in range(self.rng.randrange(4)):
            await asyncio.sleep(0)
        if one.sample.id.startswith("kill") or self.rng.random() < self.risk:
            self.dead.set()
        if self.dead.is_set():
            raise Died("SIGKILL")
        self.now -= 1
        return failed(one, "unparsed", "", "")

    async def close(self) -> None:
        self.closed = True


class Memory(Transport):
    name = "memory"

    def __init__(self, replicas: int, rng: random.Random, risk: float = 0.0) -> None:
        self.replicas, self.rng, self.risk = replicas, rng, risk
        self.made: list[Mortal] = []

    def replica(self, number: int) -> Replica:
        self.made.append(Mortal(self.rng, self.risk))
        return self.made[-1]


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    replicas=st.integers(1, 4),
    videos=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    killers=st.integers(0, 3),
    risk=st.sampled_from([0.0, 0.02, 0.1]),
)
def test_every_sample_gets_one_record_whoever_dies(
    seed: int, replicas: int, videos: list[int], killers: int, risk: float
) -> None:
    rng = random.Random(seed)
    samples = [sample(f"{video}-{k}", str(video)) for video, count in enumerate(videos) for k in range(count)]
    samples += [sample(f"kill-{k}", str(k)) for k in range(killers)]
    transport = Memory(replicas, rng, risk)
    told: list[str] = []
    gone: list[str] = []
    records: list[Record] = []
    try:
        records = answer(Replicas(Echo(Path()), transport, told.append), in_video_order(samples))
    except* ViubenchError as group:  # so many deaths in a row that no place was filled any more
        gone = [str(error) for error in group.exceptions]
    if gone:
        assert risk > 0
        assert "no replica is left" in gone[0]
        return
    statuses = by_id(records)
    assert set(statuses) == {one.id for one in samples}
    assert all(statuses[f"kill-{k}"] == "engine_error" for k in range(killers))
    if risk == 0:
        assert Counter(statuses.values())["engine_error"] == killers, "a bystander was blamed"
        assert len(transport.made) <= replicas + 2 * killers
        assert sum(" died: " in line for line in told) <= 2 * killers
    assert all(one.closed for one in transport.made)


def test_a_machine_on_which_every_replica_dies_ends_the_run() -> None:
    transport = Memory(2, random.Random(0), risk=2.0)
    with pytest.raises(ExceptionGroup) as raised:
        answer(Replicas(Echo(Path()), transport, lambda line: None), [sample("a"), sample("b", "w")])
    (error,) = raised.value.exceptions
    assert isinstance(error, ViubenchError)
    assert error.exit_code == Exit.INVALID_RUN
    assert "2 samples have no answer; the last one: while it was started" in error.message
    assert len(transport.made) == 2 * (RESTARTS + 1)


# --- real processes -------------------------------------------------------------------------------------------------


@pytest.fixture
def spread(tmp_path: Path) -> Iterator[Callable[..., Replicas]]:
    """Replicas of `Echo` as processes; what was told the user is in `tmp_path/told`."""
    (tmp_path / "manifest.json").touch()

    def make(replicas: int = 2, fault: str = "") -> Replicas:
        spec = ReplicaSpec(partial(Echo, tmp_path, fault), PLAN, tmp_path)

        def tell(line: str) -> None:
            with (tmp_path / "told").open("a") as file:
                file.write(line + "\n")

        return Replicas(Echo(tmp_path), Processes(spec, replicas), tell)

    with forked_replicas.used():
        yield make


def test_processes_share_the_videos_and_say_what_they_are(spread: Callable[..., Replicas], tmp_path: Path) -> None:
    replicas = spread()
    known: list[object] = []
    records: list[Record] = []
    samples = [sample(f"{video}{number}", video) for video in "abcd" for number in range(10)]
    assert replicas.describe() == {"model": "echo", "version": "", "replicas": 2, "transport": "process"}
    asyncio.run(
        replicas.answer_all(list(map(Attempt, samples)), records.append, lambda: known.append(replicas.describe()))
    )
    assert by_id(records) == dict.fromkeys([one.id for one in samples], "ok")
    assert known == [{"model": "echo", "version": "9", "replicas": 2, "transport": "process"}]
    processes = {process for process, _ in asked(tmp_path)}
    assert os.getpid() not in processes
    assert not any(_runs(process) for process in processes)


@pytest.mark.parametrize(
    ("fault", "status", "death"),
    [("kill", "engine_error", "its process ended (SIGKILL)"), ("core", "ok", "the core is gone")],
)
def test_one_that_dies_costs_no_answer_and_what_kills_twice_is_an_error(
    fault: str, status: str, death: str, spread: Callable[..., Replicas], tmp_path: Path
) -> None:
    names = [*(f"a{number}" for number in range(6)), fault, *(f"z{number}" for number in range(6))]
    samples = [sample(name, str(number % 3)) for number, name in enumerate(names)]
    records = answer(spread(), in_video_order(samples))
    assert by_id(records) == dict.fromkeys(names, "ok") | {fault: status}
    assert f"died: {death};" in (tmp_path / "told").read_text()
    assert [record.error.detail for record in records if record.error] == [
        f"two replicas died of it, the second: {death}"
    ] * (status == "engine_error")
    assert Counter(name for _, name in asked(tmp_path))[fault] == 2


def test_errors_of_the_start_and_of_trust_are_the_engines_own(spread: Callable[..., Replicas]) -> None:
    for replicas, samples, words in (
        (spread(fault="start"), [sample("a")], "this checkpoint is bad"),
        (spread(), [sample("a"), sample("distrust")], "lacks its timestamps"),
    ):
        with pytest.raises(ExceptionGroup) as raised:
            answer(replicas, samples)
        error = raised.value.exceptions[0]
        assert isinstance(error, ViubenchError)
        assert words in error.message


PROGRAM = """
import asyncio, sys
from functools import partial
from pathlib import Path
from replica_engines import Echo, sample
from test_replicas import PLAN
from viubench.runner.parallel.coordinator import Replicas
from viubench.runner.parallel.process import Processes
from viubench.runner.parallel.ray_cluster import cluster
from viubench.runner.parallel.worker import ReplicaSpec
from viubench.runner.plan import Attempt

folder = Path(sys.argv[1])
replicas = Replicas(Echo(folder), Processes(ReplicaSpec(partial(Echo, folder), PLAN, folder), 2), print)
attempts = [Attempt(sample(str(k), str(k))) for k in range(5_000)]
asyncio.run(replicas.answer_all(attempts, lambda record: None, lambda: None))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_replica_outlives_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as program:  # fmt: skip
        while program.poll() is None and not (tmp_path / "asked").exists():
            time.sleep(0.02)
        time.sleep(0.2)
        program.send_signal(how)
        program.wait(60)
    processes = {process for process, _ in asked(tmp_path)}
    for _ in range(300):
        if not any(map(_runs, processes)):
            return
        time.sleep(0.1)
    pytest.fail(f"replicas {processes} outlived their parent")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- what a replica is told -----------------------------------------------------------------------------------------


def test_a_plan_travels(tmp_path: Path) -> None:
    rules = tuple(get_rule(name) for name in sorted(registered("viubench.rules")))
    graders = {name: evaluators.get(name) for name in ("temporal_iou", "shape_counts", "choice", "paired_choice")}
    spec = ReplicaSpec(
        partial(Echo, tmp_path), replace(PLAN, samples=[sample("a")], evaluators=graders, rules={"t": rules}), Path("r")
    )
    there = pickle.loads(pickle.dumps(spec.travelling()))
    assert there.plan.rules["t"] == rules
    assert there.plan.samples == ()
    assert there.plan.evaluators["choice"].parse("B", sample("a")) is not None


def test_a_layout_is_read_from_the_options() -> None:
    alone = Layout.read("vllm", None, {"dtype": "float32"})
    assert (alone.kind, alone.replicas, alone.ray) == ("vllm", None, False)
    assert Layout.read("random", 1, {}).replicas is None
    assert Layout.read("hf", 3, {}).replicas == 3
    below = Layout.read("ray:vllm", 2, {"address": "auto", "dtype": "float32"})
    assert (below.kind, below.ray, below.engine_args) == ("vllm", True, {"dtype": "float32"})
    assert below.ray_args == {"address": "auto"}
    for engine, count, words in (
        ("random", 2, "has no replicas"), ("server", 2, "has no replicas"), ("ray:server", 1, "is no engine"),
    ):  # fmt: skip
        with pytest.raises(ViubenchError, match=words):
            Layout.read(engine, count, {})
    with pytest.raises(ViubenchError, match="num_cpus=many is not a number"):
        Layout.read("ray:hf", 2, {"num_cpus": "many"})


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:10001", "nonsense"])
def test_a_cluster_that_does_not_answer_is_said_at_once(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ViubenchError, match=f"no Ray cluster answers at {address}"), cluster(address):
        pass


def test_each_replica_gets_its_share_of_the_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "built_for", lambda package: "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert devices.gpus_each({"tensor_parallel_size": "2", "dtype": "auto"}) == 2
    transport = Processes(ReplicaSpec(partial(Echo, tmp_path), PLAN, tmp_path), 2, 2)
    assert transport.environments == [{"CUDA_VISIBLE_DEVICES": "4,5"}, {"CUDA_VISIBLE_DEVICES": "6,7"}]
    assert transport.spec.beside == 2, "both decode on all cores"

    async def ask_each() -> None:
        for number in range(2):
            replica = transport.replica(number)
            await replica.open([])
            await replica.answer(Attempt(sample("a")))
            await replica.close()

    asyncio.run(ask_each())
    seen = [line.split()[2] for line in (tmp_path / "asked").read_text().splitlines()]
    assert seen == ["4,5", "6,7"]
    with pytest.raises(ViubenchError, match="3 replicas with 2 GPUs each need 6, and 4 can be seen"):
        Processes(ReplicaSpec(partial(Echo, tmp_path), PLAN, tmp_path), 3, 2)
    for wrong in ("two", "0"):
        with pytest.raises(ViubenchError, match="tensor_parallel_size"):
            devices.gpus_each({"tensor_parallel_size": wrong})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.gpu_shares(9, 1) == []
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(4)))
    assert Processes(ReplicaSpec(partial(Echo, tmp_path), PLAN, tmp_path), 2).spec.beside == 1, "each on its own"
    assert json.dumps(devices.split(range(5), 2, 2)) == "[[0, 1], [2, 3]]"
