"""Two processes do equally many forward passes, however uneven their shares: with sharded weights one would wait."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import forked
import pytest
import test_trainer_sampler as sampling

from trainer import checks
from trainer.processes import SINGLE, Processes
from trainer.stage import validate

torch = pytest.importorskip("torch")
gather_object = pytest.importorskip("accelerate.utils").gather_object


class Counted:
    """A policy whose greedy answer to a question is right where its number is even."""

    def __init__(self) -> None:
        self.passes = 0

    def pack(self, sample: Any, videos: Any) -> Any:
        return sample

    def stack(self, rows: list[Any]) -> list[Any]:
        return rows

    def rollout(self, packed: list[Any], *_: Any) -> Any:
        self.passes += 1
        texts = ["yes" if int(sample.id) % 2 == 0 else "no" for sample in packed]
        mask = torch.ones(len(texts), 1, dtype=torch.bool)
        return SimpleNamespace(mask=mask, texts=texts, stopped=[True] * len(texts))


def validated(processes: Processes) -> list[Any]:
    """Forward passes over five questions, and what they say of all."""
    policy: Any = Counted()
    questions: Any = SimpleNamespace(videos=lambda sample: ())
    rewarder: Any = lambda sample, text, reason: sampling.rewarder(sample, text, reason, ())  # noqa: E731
    samples = [sampling.question(str(number)) for number in range(5)]
    told = validate(policy, rewarder, questions, samples, sampling.config(), processes)["a"]
    return [policy.passes, told.reward, list(told.answers)]


def resampled(processes: Processes) -> list[Any]:
    """How many questions are asked again where one process has three that teach nothing, and which are answered."""
    vary: Callable[[str], bool] = lambda name: name not in ("b0.0", "b0.1", "b0.2")  # noqa: E731
    one = sampling.sampler(vary, processes, train_batch_size=8, dynamic_sampling="resample")
    one.questions.batch = lambda number: [sampling.question(f"b{number}.{at}") for at in range(8)]  # type: ignore
    answered = sampling.names(one.batch(0))
    fake: Any = one.source
    return [[len(names) for names, _ in fake.calls], answered]


def in_two_processes(work: Callable[[Processes], Any], folder: Path) -> Sequence[Any]:
    """What each of two processes that are joined by gloo returns."""

    def run(rank: int) -> None:
        from accelerate.state import AcceleratorState, PartialState

        AcceleratorState._reset_state(reset_partial_state=True)  # of a test before
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": "0",
        }
        store = torch.distributed.FileStore(str(folder / "store"), 2)
        torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
        PartialState(cpu=True)
        (folder / f"{rank}.json").write_text(json.dumps(work(Processes(rank, 2))))

    with (folder / "said").open("w") as said:
        programs = [forked.start(lambda rank=rank: run(rank), stdout=said, stderr=said) for rank in range(2)]
        codes = [program.wait(60) for program in programs]
    assert codes == [0, 0], (folder / "said").read_text()[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_validation(tmp_path: Path) -> None:
    first, second = in_two_processes(validated, tmp_path)
    assert first[0] == second[0] == 3
    assert first[1:] == second[1:] == validated(SINGLE)[1:]


def test_resampling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "check_prompt", lambda policy, packed: None)
    first, second = in_two_processes(resampled, tmp_path)
    assert first[0] == second[0] == [4, 3]
    assert first[1] + second[1] == resampled(SINGLE)[1]
