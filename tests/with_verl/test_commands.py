"""verl's own programs, started with the commands the launcher composes: as far as they get without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trainer.dataset import Questions
from trainer.verl import PINS, export, launch
from trainer.verl.export import overrides
from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError

TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a training of two steps leaves it."""
    out = tmp_path_factory.mktemp("trained")
    actor = out / "verl" / "global_step_2" / "actor"
    script = str(Path(__file__).with_name("sharded.py"))
    subprocess.run([*TWO_PROCESSES, script, str(tiny_model), str(actor)], check=True, timeout=300)
    (out / "verl" / launch.LATEST).write_text("2")
    return out


def test_verl_s_merger_makes_a_checkpoint_the_harness_opens(
    trained: Path, questions: Questions, tiny_model: Path
) -> None:
    finished = launch.merge(sys.executable, questions.config, trained)
    assert finished == trained / "checkpoint-000002"
    assert describe_checkpoint(str(finished))["architecture"] == "Qwen3VLForConditionalGeneration"
    merged, base = load_file(finished / "model.safetensors"), load_file(tiny_model / "model.safetensors")
    assert merged.keys() == base.keys()
    assert all(torch.equal(merged[name], value.bfloat16()) for name, value in base.items())


def test_a_training_that_stopped_early_is_not_merged(trained: Path, questions: Questions) -> None:
    longer = questions.config.model_copy(update={"max_steps": 3})
    with pytest.raises(ViubenchError, match="ended after step 2 of 3"):
        launch.merge(sys.executable, longer, trained)


def test_the_doctor_knows_this_environment(questions: Questions, tmp_path: Path) -> None:
    found = launch.checks(sys.executable, questions.config, tmp_path, questions.store, gpus=99)
    checks = {check.name: check for check in found}
    assert all(checks[name].ok for name in (*PINS, "viubench", "ray", "tensordict", "TransferQueue"))
    assert checks["model"].ok
    assert checks["processor"].ok, checks["processor"]
    assert checks["GPUs"].ok is False
    assert "99 are required" in checks["GPUs"].detail


SMALL = (
    "ray_kwargs.ray_init.num_cpus=8",  # as many as its processes reserve, whatever the machine has
    "+ray_kwargs.ray_init.include_dashboard=false",
    "+ray_kwargs.ray_init.object_store_memory=200000000",
    "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
)


def test_the_training_starts_and_asks_for_its_gpus(
    questions: Questions, written: export.VerlExport, tmp_path: Path
) -> None:
    """Ray, the options, the tokenizer, the data and the batches are verl's own; then it counts the GPUs."""
    lines = overrides(questions.config, written, tmp_path / "verl", gpus=2)
    command = launch.train_command(sys.executable, [*lines, *SMALL])
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "HYDRA_FULL_ERROR": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    for _ in range(3):  # ray gives its own processes 30 seconds to start, too few on a busy machine
        with (tmp_path / "said").open("w+") as log:
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT)
            try:
                code = process.wait(900)
            finally:
                process.terminate()  # ray takes its own processes along
                process.wait(60)
        said = (tmp_path / "said").read_text()
        if "timed out during startup" not in said:
            break
    assert code != 0
    assert "Using dataset class: FrameCacheDataset" in said, said[-3000:]
    assert "dataset len: 12" in said, said[-3000:]
    assert "Total available GPUs 0 is less than total desired GPUs 2" in said, said[-3000:]
