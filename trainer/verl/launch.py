"""A training by verl, from pretext items to a Hugging Face folder: check, export, train, merge.

Example:
    launch(questions, Path("runs/verl"), "/opt/verl/bin/python")
    # PosixPath('runs/verl/checkpoint-000468')

    runs/verl/handed/              what `trainer.verl.export` writes, and overrides.txt
    runs/verl/verl/                verl's own checkpoints; a rerun resumes from the last of them
    runs/verl/checkpoint-000468/   the finished model, which `viubench run --model` opens
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.verl import PINS, export
from trainer.verl.export import check_supported, differences, overrides
from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError
from viubench.storage import atomic
from viubench.system import verl_doctor
from viubench.system.doctor import Check
from viubench.video.frame_cache import FrameCache

LATEST = "latest_checkpointed_iteration.txt"


def launch(
    questions: Questions, out: Path, python: str, *, gpus: int = 8, nodes: int = 1, log: Callable[[str], None] = print
) -> Path:
    """Train on `questions` (read with `multiple=export.MULTIPLE`) with verl, or resume; returns the finished
    checkpoint. `python` is the interpreter of verl's environment; `gpus` are per node, and on several nodes a ray
    cluster must be running. `log` is told each stage, and what verl does differently. Raises ViubenchError where verl
    cannot train the configuration, something is missing, `out` holds another training, or verl failed."""
    config, out = questions.config, out.resolve()
    finished = out / f"checkpoint-{config.max_steps:06d}"
    check_supported(config, gpus * nodes)
    _claim_folder(out, questions)
    if finished.is_dir():
        log(f"finished before: {finished}")
        return finished
    verl_doctor.require(checks(python, config, out, questions.store, gpus=gpus, nodes=nodes), python)
    written = export.export(questions, out / "handed", log=log)
    lines = overrides(config, written, out / "verl", gpus=gpus, nodes=nodes)
    write_overrides(out / "handed", lines)
    for line in differences(config):
        log(f"note: {line}")
    log(f"verl trains {config.max_steps} steps on {written.rows} questions")
    _run(train_command(python, lines), out)
    return merge(python, config, out, log)


def checks(python: str, config: TrainConfig, out: Path, cache: FrameCache, *, gpus: int, nodes: int = 1) -> list[Check]:
    """Whether the verl of the interpreter `python` can train `config` here; see `viubench.system.verl_doctor`."""
    asked, kept = config.max_steps * config.train_batch_size, config.save_total_limit
    training = verl_doctor.Training(config.model, export.MULTIPLE, asked, kept, gpus, nodes)
    return verl_doctor.checks(python, training, out, cache, PINS)


def train_command(python: str, lines: Sequence[str]) -> list[str]:
    """The command of a training with these overrides."""
    return [python, "-m", "verl.trainer.main_ppo", *lines]


def merge(python: str, config: TrainConfig, out: Path, log: Callable[[str], None] = print) -> Path:
    """`out/checkpoint-N` from verl's last checkpoint in `out/verl`, written atomically. Raises ViubenchError where verl
    stopped before the last step (it may exit with 0 then), or its merger failed."""
    latest = out / "verl" / LATEST
    step = int(latest.read_text()) if latest.is_file() else 0
    if step != config.max_steps:
        said = f"verl ended after step {step} of {config.max_steps}, without an error"
        hint = "rerun the same command to resume; verl's own messages are above"
        raise ViubenchError(said, where=str(out / "verl"), hint=hint)
    finished = out / f"checkpoint-{step:06d}"
    aside = out / f".{finished.name}{atomic.ASIDE}"
    shutil.rmtree(aside, ignore_errors=True)
    log("merging verl's shards into one checkpoint")
    actor = out / "verl" / f"global_step_{step}" / "actor"
    merger = ["verl.model_merger", "merge", "--backend", "fsdp", "--local_dir", str(actor), "--target_dir", str(aside)]
    _run([python, "-m", *merger], out)
    describe_checkpoint(str(aside))  # raises where something is missing
    aside.rename(finished)
    return finished


def _run(command: Sequence[str], folder: Path) -> None:
    """Run one of verl's commands in `folder`; ViubenchError when it fails."""
    environment = {"TENSORBOARD_DIR": str(folder / "tensorboard"), "HYDRA_FULL_ERROR": "1"} | os.environ
    if code := subprocess.run(command, cwd=folder, env=environment, check=False).returncode:
        hint = "its own messages are above; rerun the same command to resume"
        raise ViubenchError(f"{command[2]} ended with code {code}", where=str(folder), hint=hint)


def write_overrides(folder: Path, lines: Sequence[str]) -> Path:
    """`folder/overrides.txt`, one override a line, as xargs reads them."""
    atomic.write(folder / "overrides.txt", "".join(line + "\n" for line in lines).encode())
    return folder / "overrides.txt"


def _claim_folder(out: Path, questions: Questions) -> None:
    """Record the training of `out`; ViubenchError for another one, which verl would resume unasked."""
    mine = {"config": questions.config.hash(), "items": questions.hash(), "model": questions.config.model}
    note = out / "verl-training.json"
    if note.is_file() and (theirs := json.loads(note.read_bytes())) != mine:
        said = f"the folder holds a training with another {next(key for key in mine if theirs.get(key) != mine[key])}"
        raise ViubenchError(said, where=str(out), hint="choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    atomic.write(note, json.dumps(mine).encode())
