"""Checkpoints: a folder in Hugging Face layout, written atomically, with what a resume needs inside it.

Example:
    save(out, step=40, model=model, base=base, optimizer=optimizer, config_hash=digest, card="# Trained on ...")
    step = restore(latest(out), model, optimizer, config_hash=digest)["step"]  # 40

    out/checkpoint-000040/   model.safetensors, config, tokenizer, processor, chat template, README.md
        adapter/             a LoRA adapter in peft's layout, where one was trained
        trainer/             state.json, optimizer.safetensors, random.safetensors, trainable.safetensors (LoRA),
                             files.json (bytes and blake3 of every other file)

Only the main process writes; the others send it their shards, and the files do not depend on how many there are. A
folder is renamed to its name after every file is on disk.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.checkpoints import optimizer_state
from trainer.distributed import SINGLE_PROCESS, ProcessGroup
from trainer.model import fsdp
from viubench.errors import ViubenchError
from viubench.storage.atomic import ASIDE, sync
from viubench.watch.checkpoints import marked

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

SCHEMA = 1
NAME = re.compile(r"checkpoint-(\d{6,})")
LEFTOVER = f".checkpoint-*{ASIDE}"
FROM_BASE = (
    "config.json", "generation_config.json", "*processor_config.json", "chat_template*", "tokenizer*", "vocab.json",
    "merges.txt", "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
"""Files of the base checkpoint that a trained one shares; training changes none of them."""


def save(
    folder: Path,
    *,
    step: int,
    model: Any,
    base: Path,
    optimizer: Optimizer,
    config_hash: str,
    extra: Mapping[str, Any] = {},
    log: Mapping[str, Any] = {},
    card: str,
    processes: ProcessGroup = SINGLE_PROCESS,
) -> Path:
    """Write `folder/checkpoint-<step>` atomically, and remove what killed writers left; all processes must call it.

    `model` is a transformers model, or a peft model over one; `base` the checkpoint that training started from;
    `extra` JSON that the loop needs to resume; `log` the metrics of the step; `card` the text of README.md.

    Raises:
        ViubenchError: the checkpoint exists, or something in it is no JSON (a NaN among the metrics).
    """
    target = folder / f"checkpoint-{step:06d}"
    weights = fsdp.full_state_dict(model, processes.is_main) if fsdp.is_sharded(model) else None
    moments, groups = optimizer_state.optimizer_state(optimizer, processes.is_main)
    facts = {"schema": SCHEMA, "step": step, "config_hash": config_hash, "extra": dict(extra), "log": dict(log)}
    with processes.raise_together():
        if processes.is_main:
            with _atomic_folder(target) as aside:
                _write_model(aside, model, weights, card)
                for path in {path for pattern in FROM_BASE for path in base.glob(pattern) if path.is_file()}:
                    shutil.copyfile(path, aside / path.name)
                (aside / "README.md").write_text(card, encoding="utf-8")
                _write_state(aside / "trainer", moments, facts | {"optimizer": groups})
    return target


@contextmanager
def _atomic_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, renamed to `target` when all of it is on disk."""
    folder = target.parent
    if target.exists():
        raise ViubenchError(
            f"{target.name} exists already", where=str(folder), hint="remove it, or choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(LEFTOVER):
        shutil.rmtree(leftover)
    aside = folder / f".{target.name}.{uuid.uuid4().hex}{ASIDE}"
    try:
        (aside / "trainer").mkdir(parents=True)
        yield aside
        _write_json(aside / "trainer" / "files.json", _sync_files(aside))
        sync(aside / "trainer" / "files.json")
        for path in (aside, *(path for path in aside.rglob("*") if path.is_dir())):
            sync(path)
        os.rename(aside, target)
        sync(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # exists only after an error


def restore(
    checkpoint: Path, model: Any, optimizer: Optimizer, *, config_hash: str, processes: ProcessGroup = SINGLE_PROCESS
) -> dict[str, Any]:
    """Restore weights, optimizer and random number generators; everything is checked before anything is changed.

    `model` is opened as for a new run, from the same base. All processes must call it; their number may have changed.
    Returns `step`, `config_hash`, `extra` and `log` as they were saved.

    Raises:
        ViubenchError: a missing or damaged file, another configuration, or a model or optimizer of other parameters.
    """
    import torch
    from safetensors.torch import load_file

    with processes.raise_together():
        facts = _check_files(checkpoint, digests=processes.is_main)
    if facts["config_hash"] != config_hash:
        raise ViubenchError(
            f"{checkpoint.name} was trained with another configuration",
            where=str(checkpoint),
            hint="resume with the configuration it was started with, or choose another folder",
        )
    own, files = _own_weights(checkpoint, model)
    moments = {name: t.clone() for name, t in load_file(checkpoint / "trainer" / "optimizer.safetensors").items()}
    optimizer_state.check_optimizer_state(optimizer, moments, facts["optimizer"], str(checkpoint))
    with torch.no_grad():
        for name, value in _tensors(files):
            own[name].copy_(fsdp.shard_like(value, own[name]))
    optimizer_state.set_optimizer_state(optimizer, moments, facts["optimizer"])
    optimizer_state.set_random_state(load_file(checkpoint / "trainer" / "random.safetensors"), facts["random"])
    return {name: facts[name] for name in ("step", "config_hash", "extra", "log")}


def complete(folder: Path) -> list[Path]:
    """The complete checkpoints of `folder`, by step; none where there is no folder."""
    return sorted(
        (path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name) and marked(path)), key=step_of
    )


def latest(folder: Path) -> Path | None:
    """The complete checkpoint of the highest step."""
    return next(reversed(complete(folder)), None)


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name; ViubenchError for another name."""
    named = NAME.fullmatch(checkpoint.name)
    if named is None:
        raise ViubenchError(f"{checkpoint.name} is no checkpoint's name", where=str(checkpoint))
    return int(named[1])


def prune(folder: Path, keep_last: int, scores: Mapping[str, float]) -> list[str]:
    """Remove all complete checkpoints but the `keep_last` (at least 1) last ones and the best one, see `best`.

    Returns the names of those that were removed.
    """
    if keep_last < 1:
        raise ViubenchError(f"keep_last is {keep_last}", hint="keep at least the last checkpoint: a resume needs it")
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


def _is_adapted(model: Any) -> bool:
    """Whether it is a peft model; checked by its methods, for peft may not be installed."""
    return hasattr(model, "peft_config") and hasattr(model, "merge_and_unload")


def _write_model(aside: Path, model: Any, weights: dict[str, Tensor] | None, card: str) -> None:
    from copy import deepcopy

    from safetensors.torch import save_file

    if not _is_adapted(model):
        model.save_pretrained(aside, state_dict=weights)
        return
    model.save_pretrained(aside / "adapter", save_embedding_layers=False)
    (aside / "adapter" / "README.md").write_text(card, encoding="utf-8")
    trained = {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}
    save_file(trained, aside / "trainer" / "trainable.safetensors")
    # Of a copy: merging and unmerging would leave other bits in the weights.
    deepcopy(model).merge_and_unload().save_pretrained(aside)


def _write_state(folder: Path, moments: optimizer_state.Tensors, facts: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    save_file(moments, folder / "optimizer.safetensors")
    generators, facts["random"] = optimizer_state.random_state()
    save_file(generators, folder / "random.safetensors")
    _write_json(folder / "state.json", facts)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ViubenchError(f"the state to save is no JSON: {error}", where=path.name) from error
    path.write_text(text + "\n", encoding="utf-8")


def _sync_files(folder: Path) -> dict[str, Any]:
    """Sync every file to disk; returns path below `folder` -> [bytes, blake3]."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        sync(path)
        files[path.relative_to(folder).as_posix()] = [path.stat().st_size, _digest(path)]
    return files


def _digest(path: Path) -> str:
    from blake3 import blake3

    return str(blake3().update_mmap(path).hexdigest())


def _check_files(checkpoint: Path, digests: bool) -> dict[str, Any]:
    """The content of state.json, after every file was checked by its size and, with `digests`, its content."""
    try:
        entries = json.loads((checkpoint / "trainer" / "files.json").read_bytes())
        listed = {str(name): (int(size), str(digest)) for name, (size, digest) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ViubenchError(
            f"{checkpoint.name} is no complete checkpoint: its list of files does not read",
            where=str(checkpoint),
            hint="resume from an earlier checkpoint",
        ) from error
    if "trainer/state.json" not in listed or any(Path(name).is_absolute() or ".." in name for name in listed):
        raise ViubenchError(f"{checkpoint.name}: its list of files is damaged", where=str(checkpoint))
    for name, (size, digest) in listed.items():
        path = checkpoint / name
        if not path.is_file() or path.stat().st_size != size or (digests and _digest(path) != digest):
            raise ViubenchError(
                f"{name} of {checkpoint.name} is {'damaged' if path.is_file() else 'missing'}",
                where=str(path),
                hint="resume from an earlier checkpoint, or copy this one again",
            )
    facts: dict[str, Any] = json.loads((checkpoint / "trainer" / "state.json").read_bytes())
    if facts["schema"] != SCHEMA:
        raise ViubenchError(f"{checkpoint.name} was written by another viubench (schema {facts['schema']})")
    return facts


def _own_weights(checkpoint: Path, model: Any) -> tuple[dict[str, Tensor], list[Path]]:
    """The tensors of `model` to restore, and the files with their values; raises as `restore`."""
    trained = checkpoint / "trainer" / "trainable.safetensors"
    if trained.is_file() != _is_adapted(model):
        raise ViubenchError(
            f"{checkpoint.name} {'holds an adapter, the model has none' if trained.is_file() else 'has no adapter'}",
            where=str(checkpoint),
            hint="open the model as it was trained; an adapter needs peft (pip install peft)",
        )
    if trained.is_file():
        own, files = {name: p for name, p in model.named_parameters() if p.requires_grad}, [trained]
    else:
        own, files = dict(model.state_dict(keep_vars=True)), sorted(checkpoint.glob("*.safetensors"))
    saved = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in _tensors(files)}
    filled = {id(own[name]) for name in saved if name in own}
    expected = {name: t for name, t in own.items() if name in saved or id(t) not in filled}  # tied: saved once
    if {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in expected.items()} != saved:
        raise ViubenchError(
            f"{checkpoint.name} holds the weights of another model",
            where=str(checkpoint),
            hint="open the base model with the dtype and the adapters it was started with",
        )
    return expected, files


def _tensors(files: list[Path]) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (no mapping)
                yield name, file.get_tensor(name)
