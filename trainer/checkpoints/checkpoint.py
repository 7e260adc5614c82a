"""Checkpoints: folders in Hugging Face layout, complete or not there, with a list of their files.

Example:
    with atomic_folder(out / "checkpoint-000040") as aside:   # renamed after every file is on disk
        model.save_pretrained(aside)
    latest(out)   # out/checkpoint-000040

    out/checkpoint-000040/   model.safetensors, config, tokenizer, processor, chat template, README.md; optimizer.pt,
                             scheduler.pt, rng_state.pth, trainer_state.json of transformers' Trainer
        adapter/             a LoRA adapter in peft's layout, where one was trained
        trainer/             state.json, files.json (bytes and blake3 of every other file)
"""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError
from viubench.storage.atomic import ASIDE, sync
from viubench.watch.checkpoints import find, marked

SCHEMA = 3
LEFTOVER = f".checkpoint-*{ASIDE}"
STATE = Path("trainer", "state.json")
FILES = Path("trainer", "files.json")
# Files of the base checkpoint that a trained one shares; training changes none of them.
FROM_BASE = (
    "config.json", "generation_config.json", "*processor_config.json", "chat_template*", "tokenizer*", "vocab.json",
    "merges.txt", "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, renamed to `target` when all of it is on disk; what killed writers left is removed.
    Raises ViubenchError where `target` exists."""
    folder = target.parent
    if target.exists():
        hint = "remove it, or choose another folder"
        raise ViubenchError(f"{target.name} exists already", where=str(folder), hint=hint)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(LEFTOVER):
        shutil.rmtree(leftover)
    aside = folder / f".{target.name}.{uuid.uuid4().hex}{ASIDE}"
    try:
        (aside / FILES).parent.mkdir(parents=True)
        yield aside
        files = sorted(path for path in aside.rglob("*") if path.is_file())
        listed = {path.relative_to(aside).as_posix(): [path.stat().st_size, _digest(path)] for path in files}
        write_json(aside / FILES, listed)
        for path in (aside, *aside.rglob("*")):
            sync(path)
        os.rename(aside, target)
        sync(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # exists only after an error


def read_state(checkpoint: Path, run: str) -> dict[str, Any]:
    """The state that this project's trainer saved in `checkpoint`, whose files are checked first. Raises
    ViubenchError for a missing or damaged file, or a checkpoint of another `run` (see `model_card.build_manifest`)."""
    problem = "" if marked(checkpoint) else "a file is missing, or has another size than in its list of files"
    for name, (_, digest) in {} if problem else json.loads((checkpoint / FILES).read_bytes()).items():
        problem = problem if _digest(checkpoint / name) == digest else f"{name} is damaged"
    state: dict[str, Any] = {} if problem else json.loads((checkpoint / STATE).read_bytes())
    if problem:
        how, hint = f"is not whole: {problem}", "resume from an earlier checkpoint, or copy this one again"
    elif state["schema"] != SCHEMA:
        how = f"was written by another viubench (schema {state['schema']})"
        hint = "start again in another folder, with this checkpoint as --model"
    elif state["run"] != run:
        how = "was trained with another configuration"
        hint = "resume with the configuration, items and model it was started with, or choose another folder"
    else:
        return state
    raise ViubenchError(f"{checkpoint.name} {how}", where=str(checkpoint), hint=hint)


def complete(folder: Path) -> list[Path]:
    """The complete checkpoints of `folder`, by step; none where there is no folder."""
    return [one.folder for one in find(folder) if one.folder == named(folder, one.step) and marked(one.folder)]


def named(folder: Path, step: int) -> Path:
    """The checkpoint of `folder` after `step` steps."""
    return folder / f"checkpoint-{step:06d}"


def latest(folder: Path) -> Path | None:
    """The complete checkpoint of the highest step."""
    return next(reversed(complete(folder)), None)


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    return int(checkpoint.name.partition("-")[2])


def prune(folder: Path, keep_last: int, scores: Mapping[str, float]) -> list[str]:
    """Remove all complete checkpoints but the `keep_last` (at least 1) last ones and the best one, see `best`; returns
    the names of those that were removed."""
    top = best(folder, scores)
    removed = [path for path in complete(folder)[:-keep_last] if path != top]
    for path in removed:
        aside = folder / f".{path.name}.{uuid.uuid4().hex}{ASIDE}"
        os.rename(path, aside)  # a kill must not leave half a checkpoint under its name
        shutil.rmtree(aside)
    return [path.name for path in removed]


def best(folder: Path, scores: Mapping[str, float]) -> Path | None:
    """The complete checkpoint of the highest score by name, the earlier of equals; a NaN is no score."""
    scored = [path for path in complete(folder) if not math.isnan(scores.get(path.name, math.nan))]
    return max(scored, key=lambda path: scores[path.name], default=None)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as strict JSON: a NaN, which the log has refused before, is a ValueError."""
    path.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    from blake3 import blake3

    return str(blake3().update_mmap(path).hexdigest())
