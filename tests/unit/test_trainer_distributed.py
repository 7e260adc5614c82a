"""A process's part of the work, and errors that all processes raise together; the others are threads here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from trainer.distributed import SINGLE_PROCESS, ProcessGroup, SharedError

from viubench.errors import Exit, ViubenchError


@dataclass(frozen=True)
class Threads(ProcessGroup):
    """ProcessGroup whose processes are threads that share a list."""

    barrier: Any = None
    shared: Any = None

    def gather(self, value: Any) -> list[Any]:
        self.shared[self.rank] = value
        self.barrier.wait(10)
        found = list(self.shared)
        self.barrier.wait(10)
        return found


def together(size: int, work: Callable[[ProcessGroup], Any]) -> list[Any]:
    """What every thread's `work` gave or raised."""
    barrier, shared = threading.Barrier(size), [None] * size

    def run(rank: int) -> Any:
        try:
            return work(Threads(rank, size, barrier=barrier, shared=shared))
        except ViubenchError as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


@pytest.mark.parametrize("items", [0, 1, 3, 7, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_parts_are_neighbours_and_make_the_whole(size: int, items: int) -> None:
    parts = [ProcessGroup(rank, size).shard(range(items)) for rank in range(size)]
    assert [item for part in parts for item in part] == list(range(items))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_all_have_as_many_passes() -> None:
    passes = together(2, lambda processes: list(processes.padded(processes.shard(range(5)))))
    assert passes == [[(0, True), (1, True), (1, False)], [(2, True), (3, True), (4, True)]]
    assert list(SINGLE_PROCESS.padded([1, 2])) == [(1, True), (2, True)]


def test_fewer_questions_than_processes_are_refused_by_all() -> None:
    for error in together(2, lambda processes: list(processes.padded(processes.shard([1])))):
        assert isinstance(error, SharedError)
        assert error.message == "1 questions a step are not enough for 2 processes"


def test_an_error_of_one_is_raised_by_all() -> None:
    def work(processes: ProcessGroup) -> None:
        with processes.raise_together():
            if processes.rank == 1:
                raise ViubenchError("no video", where="item 3", hint="look", exit_code=Exit.NEGATIVE)

    for rank, error in enumerate(together(3, work)):
        assert isinstance(error, SharedError)
        assert (error.message, error.where, error.hint, error.exit_code) == (
            "no video",
            "item 3",
            "look",
            Exit.NEGATIVE,
        )
        assert ProcessGroup(rank, 3).can_save(error)
        assert not ProcessGroup(rank, 3).can_save(ViubenchError("of one"))


def test_what_the_first_gave_is_known_to_all() -> None:
    assert together(3, lambda processes: processes.broadcast(processes.rank + 5)) == [5, 5, 5]


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_a_process_that_torchrun_did_not_start_is_alone(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with ProcessGroup.join(device) as processes:
        assert (processes.rank, processes.size, processes.device, processes.is_main) == (0, 1, device, True)
        assert processes.gather({"reward": 0.5}) == [{"reward": 0.5}]


def test_several_machines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ViubenchError, match=r"4 processes on several machines \(2 on this one\)"):
        ProcessGroup.join("cpu")
