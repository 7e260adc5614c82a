"""What stops a training, as its user reads it."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import test_trainer_data as data

from trainer import checks
from trainer.checkpoints.metrics_log import MetricsLog
from trainer.dataset import Questions
from trainer.processes import SINGLE
from viubench.errors import ViubenchError
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

from test_trainer_data import world as world  # isort: skip

torch = pytest.importorskip("torch")
stage = pytest.importorskip("trainer.stage", reason="it needs transformers")
told = stage.told

OUT = Path("runs/train")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["python", "cuda", "cpu"],
)
def test_out_of_memory_says_what_to_lower(error: Exception) -> None:
    plain = told(error, OUT)
    assert plain is not None
    assert plain.message.startswith("out of memory: ")
    for key in ("micro_batch_size", "gradient_checkpointing", "gpu_memory_utilization", "rerun to resume"):
        assert key in str(plain.hint)


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, "no") for number in stage.DISK),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos\nPytorchStreamWriter failed"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=str,
)
def test_a_full_disk_says_where(error: Exception) -> None:
    plain = told(error, OUT)
    assert plain is not None
    assert plain.message.startswith("the disk cannot be written: ")
    assert plain.where == str(OUT)
    assert "free some space and rerun to resume" in str(plain.hint)


@pytest.mark.parametrize(
    "text",
    [
        "[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1",
        "NCCL error: remote process exited",
    ],
)
def test_a_process_that_is_gone_is_told_as_such(text: str) -> None:
    plain = told(RuntimeError(text), OUT)
    assert plain is not None
    assert plain.message.startswith("another process of the training is gone")


def test_an_error_for_the_user_stays_as_it_is() -> None:
    error = ViubenchError("no video", where="item 3")
    assert told(error, OUT) is error


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), OSError(errno.ENOENT, "no such file"), RuntimeError()]
)
def test_a_fault_of_the_program_is_not_dressed_up(error: Exception) -> None:
    assert told(error, OUT) is None


def test_two_lines_at_most() -> None:
    plain = told(torch.OutOfMemoryError("CUDA out of memory.\n" + "of 141 GiB\n" * 40), OUT)
    assert plain is not None
    assert "\n" not in plain.message
    assert len(plain.message) < 250


def test_a_checkpoint_scores_what_the_validation_beside_it_found(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.write({"step": 0, "loss": 0.1})
    log.write({"step": 1, "validation/a/reward": 0.5, "validation/b/reward": 0.7, "validation/a/strict": 1.0})
    log.write({"step": 3, "validation/a/reward": 0.6, "validation/b/reward": 0.6})
    assert stage.scores(tmp_path) == {"checkpoint-000002": pytest.approx(0.6), "checkpoint-000004": pytest.approx(0.6)}
    assert stage.best(tmp_path) is None, "neither is there"


@pytest.mark.parametrize("steps", [0, 3])
def test_validation_items_may_be_missing_where_none_are_asked_for(
    steps: int, world: Path, tiny_model: Path, tmp_path: Path
) -> None:
    config = data.config(world, items={"train": str(world / "items-a")}, eval_steps=steps)
    questions = Questions.read(config, Catalogue(), FrameCache(world / "frames"), need_validation=False)
    baselines = checks.constant_baselines(questions, config)
    assert baselines.keys() == config.tasks.keys()
    assert min(baselines.values()) > 0, "on the training items"
    policy: Any = SimpleNamespace(path=tiny_model, base=SimpleNamespace(device="cpu"))
    rewarder: Any = None
    one = stage.Stage(config, tmp_path, questions, policy, rewarder=rewarder, processes=SINGLE)

    def build() -> None:
        raise ValueError("built")

    said = "every 3 steps, and there are no validation items" if steps else "built"
    with pytest.raises(ViubenchError, match=said):
        one.run(build)
