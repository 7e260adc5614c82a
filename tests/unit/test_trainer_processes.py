"""A process's part of the work, and the device it trains on."""

from __future__ import annotations

import os
import signal

import pytest

from trainer.processes import SINGLE, Processes
from viubench.errors import ViubenchError

torch = pytest.importorskip("torch")


def started(monkeypatch: pytest.MonkeyPatch, rank: int, size: int, here: int | None = None) -> None:
    """As torchrun starts a process."""
    for name, value in {"RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": here or size}.items():
        monkeypatch.setenv(name, str(value))


def with_gpus(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("items", [0, 1, 3, 7, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_are_neighbours_and_make_the_whole(size: int, items: int) -> None:
    shares = [Processes(rank, size).share(range(items)) for rank in range(size)]
    assert [item for share in shares for item in share] == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_that_was_started_alone_has_everything() -> None:
    assert Processes.join("cpu") == SINGLE
    assert SINGLE.is_main
    assert SINGLE.share([1, 2, 3]) == SINGLE.gather((1, 2, 3)) == [1, 2, 3]


def test_a_process_of_several_knows_its_rank_and_dies_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Libc:
        def __init__(self, name: None) -> None: ...
        def prctl(self, *arguments: int) -> None:
            asked.append(arguments)

    monkeypatch.setattr("trainer.processes.ctypes.CDLL", Libc)
    started(monkeypatch, 2, 4)
    assert Processes.join("cpu") == Processes(2, 4, "cpu")
    assert not Processes.join("cpu").is_main
    assert asked[0] == (1, signal.SIGKILL)


def test_a_single_process_takes_one_gpu_and_says_how_to_take_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_gpus(monkeypatch, 4)
    assert Processes.join().device == "cuda"
    assert os.environ.pop("CUDA_VISIBLE_DEVICES") == "0"
    assert "torchrun --nproc-per-node 4 -m viubench train" in capsys.readouterr().out
    Processes.join("cuda:2")
    assert os.environ.pop("CUDA_VISIBLE_DEVICES") == "2"
    assert capsys.readouterr().out == ""


def test_without_a_gpu_the_cpu_trains_unless_a_gpu_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 0)
    assert Processes.join().device == "cpu"
    with pytest.raises(ViubenchError, match="torch sees no GPU"):
        Processes.join("cuda")


def test_more_processes_than_gpus_on_a_machine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.processes.sys.platform", "other")
    with_gpus(monkeypatch, 2)
    started(monkeypatch, 0, 4, here=2)
    assert Processes.join() == Processes(0, 4, "cuda"), "several nodes"
    started(monkeypatch, 0, 4)
    with pytest.raises(ViubenchError, match="4 processes for 2 GPUs"):
        Processes.join()
