"""Checkpoints: a folder in Hugging Face layout that appears whole or not at all, and what resuming needs inside it.

Example:
    save(out, step=40, model=model, base=base, optimizer=optimizer, config_hash=digest, card="# Trained on ...")
    step = restore(latest(out), model, optimizer, config_hash=digest)["step"]  # 40

    out/checkpoint-000040/   model.safetensors, config, tokenizer, processor, chat template, README.md
        adapter/             a LoRA adapter in peft's layout, where one was trained
        trainer/             state.json, optimizer.safetensors, random.safetensors, trainable.safetensors (LoRA),
                             files.json (bytes and blake3 of every other file)

One process at a time writes to `out`: of several that train together the first, to which the others send their parts
of split weights; nothing in the files depends on how many there are. A folder without its ending `.part` was renamed
after every file was on disk.
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
from trainer.distributed import ALONE, Ranks
from trainer.model import fsdp
from viubench.errors import ViubenchError
from viubench.storage.atomic import ASIDE, sync

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

SCHEMA = 1
NAME = re.compile(r"checkpoint-(\d{6,})")
LEFTOVER = f".checkpoint-*{ASIDE}"
FROM_BASE = (
    "config.json",
    "generation_config.json",
    "*processor_config.json",
    "chat_template*",
    "tokenizer*",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
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
    merge: bool = True,
    ranks: Ranks = ALONE,
) -> Path:
    """Write `folder/checkpoint-<step>`, whole or not at all, and clear what killed writers left in `folder`.

    Args:
        step: finished steps, from 0.
        model: a transformers model, or a peft model over one.
        base: folder of the checkpoint that training started from.
        config_hash: of the training configuration; `restore` refuses another one.
        extra: JSON that the loop wants back, for example its cursor.
        log: JSON metrics of this step.
        card: text of README.md.
        merge: of a peft model, also write the whole model with the adapter merged in (takes a second copy of the
            model in memory); without, only the adapter is written and it needs `base` to be opened.
        ranks: the processes that train together; all must call it.

    Raises:
        ViubenchError: the checkpoint is there already, or something in it is no JSON (a NaN among the metrics).
    """
    target = folder / f"checkpoint-{step:06d}"
    weights = fsdp.weights(model, ranks.first) if fsdp.is_split(model) else None
    moments, groups = optimizer_state.optimizer_state(optimizer, ranks.first)
    facts = {"schema": SCHEMA, "step": step, "config_hash": config_hash, "extra": dict(extra), "log": dict(log)}
    with ranks.agree():
        if ranks.first:
            with _appearing(target) as aside:
                _write_model(aside, model, weights, card, merge)
                for path in sorted({path for pattern in FROM_BASE for path in base.glob(pattern) if path.is_file()}):
                    shutil.copyfile(path, aside / path.name)
                (aside / "README.md").write_text(card, encoding="utf-8")
                _write_state(aside / "trainer", moments, facts | {"optimizer": groups})
    return target


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `target` when all in it is on disk; leftovers of killed writers go."""
    folder = target.parent
    if target.exists():
        raise ViubenchError(
            f"{target.name} is there already", where=str(folder), hint="remove it, or name another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(LEFTOVER):
        shutil.rmtree(leftover)
    aside = folder / f".{target.name}.{uuid.uuid4().hex}{ASIDE}"
    try:
        (aside / "trainer").mkdir(parents=True)
        yield aside
        _write_json(aside / "trainer" / "files.json", _settle(aside))
        sync(aside / "trainer" / "files.json")
        for path in (aside, *(path for path in aside.rglob("*") if path.is_dir())):
            sync(path)
        os.rename(aside, target)
        sync(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # there only when an error is on its way up


def restore(
    checkpoint: Path, model: Any, optimizer: Optimizer, *, config_hash: str, ranks: Ranks = ALONE
) -> dict[str, Any]:
    """Put weights, optimizer and random generators back; everything is checked before anything is changed.

    `model` is opened as for a new run, from the same base; of a peft model only what was trained is put back. All
    processes that train together must call it, as many as there are now.

    Returns:
        `step`, `config_hash`, `extra` and `log` as they were saved.

    Raises:
        ViubenchError: a missing or damaged file, another configuration, or a model or optimizer of other parameters.
    """
    from safetensors.torch import load_file

    with ranks.agree():
        facts = _check_files(checkpoint, digests=ranks.first)
    if facts["config_hash"] != config_hash:
        raise ViubenchError(
            f"{checkpoint.name} was trained with another configuration",
            where=str(checkpoint),
            hint="resume with the configuration it was started with, or name another folder",
        )
    own, files = _own_weights(checkpoint, model)
    moments = {name: t.clone() for name, t in load_file(checkpoint / "trainer" / "optimizer.safetensors").items()}
    optimizer_state.check_optimizer_state(optimizer, moments, facts["optimizer"], str(checkpoint))
    _copy_weights(own, files)
    optimizer_state.set_optimizer_state(optimizer, moments, facts["optimizer"])
    optimizer_state.set_random_state(load_file(checkpoint / "trainer" / "random.safetensors"), facts["random"])
    return {name: facts[name] for name in ("step", "config_hash", "extra", "log")}


def complete(folder: Path) -> list[Path]:
    """The checkpoints that are whole (every file there, with its bytes), by step; none where there is no folder."""
    found = [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name) and _all_there(path)]
    return sorted(found, key=step_of)


def latest(folder: Path) -> Path | None:
    """The whole checkpoint of the highest step."""
    return next(reversed(complete(folder)), None)


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name; ViubenchError when it is none."""
    named = NAME.fullmatch(checkpoint.name)
    if named is None:
        raise ViubenchError(f"{checkpoint.name} is no checkpoint's name", where=str(checkpoint))
    return int(named[1])


def prune(folder: Path, keep_last: int, keep_best: Mapping[str, float], best: int = 1) -> list[str]:
    """Remove all whole checkpoints but the last ones and the best ones.

    Args:
        keep_last: how many of the highest steps stay, at least 1, for a run must be able to go on.
        keep_best: score of checkpoints by name ("checkpoint-000040"), higher is better; a NaN is no score, and of
            equal ones the earlier is better.
        best: how many of the best stay.

    Returns:
        The names of those that were removed.
    """
    if keep_last < 1:
        raise ViubenchError(f"keep_last is {keep_last}", hint="keep at least the last checkpoint: a resume needs it")
    there = complete(folder)
    scored = [path for path in there if not math.isnan(keep_best.get(path.name, math.nan))]
    ranked = sorted(scored, key=lambda path: (-keep_best[path.name], step_of(path)))
    kept = {*there[-keep_last:], *ranked[:best]}
    removed = [path for path in there if path not in kept]
    for path in removed:
        aside = folder / f".{path.name}.{uuid.uuid4().hex}{ASIDE}"
        os.rename(path, aside)  # a kill between two files must not leave half a checkpoint under its name
        shutil.rmtree(aside)
    return [path.name for path in removed]


def _is_adapted(model: Any) -> bool:
    """Whether it is a peft model; asked of its methods, so that peft need not be there for a plain one."""
    return hasattr(model, "peft_config") and hasattr(model, "merge_and_unload")


def _write_model(aside: Path, model: Any, weights: dict[str, Tensor] | None, card: str, merge: bool) -> None:
    from copy import deepcopy

    from safetensors.torch import save_file

    if not _is_adapted(model):
        model.save_pretrained(aside, state_dict=weights)
        return
    model.save_pretrained(aside / "adapter", save_embedding_layers=False)
    (aside / "adapter" / "README.md").write_text(card, encoding="utf-8")
    trained = {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}
    save_file(trained, aside / "trainer" / "trainable.safetensors")
    if merge:
        # Of a copy: adding the adapter to the weights and taking it off again would leave other bits.
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


def _settle(folder: Path) -> dict[str, Any]:
    """Bring every file to the disk; returns path below `folder` -> [bytes, blake3]."""
    settled = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        sync(path)
        settled[path.relative_to(folder).as_posix()] = [path.stat().st_size, _digest(path)]
    return settled


def _digest(path: Path) -> str:
    from blake3 import blake3

    digest = blake3()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return str(digest.hexdigest())


def _listed(checkpoint: Path) -> dict[str, tuple[int, str]]:
    """What files.json lists; ViubenchError when it does not read or names files outside the checkpoint."""
    try:
        entries = json.loads((checkpoint / "trainer" / "files.json").read_bytes())
        listed = {str(name): (int(size), str(digest)) for name, (size, digest) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ViubenchError(
            f"{checkpoint.name} is no whole checkpoint: its list of files does not read",
            where=str(checkpoint),
            hint="resume from an earlier checkpoint",
        ) from error
    if "trainer/state.json" not in listed or any(Path(name).is_absolute() or ".." in name for name in listed):
        raise ViubenchError(f"{checkpoint.name}: its list of files is damaged", where=str(checkpoint))
    return listed


def _all_there(checkpoint: Path) -> bool:
    try:
        return all((checkpoint / name).stat().st_size == size for name, (size, _) in _listed(checkpoint).items())
    except (ViubenchError, OSError):
        return False


def _check_files(checkpoint: Path, digests: bool) -> dict[str, Any]:
    """The content of state.json, after every file was found as it was written; `digests` says how closely."""
    for name, (size, digest) in _listed(checkpoint).items():
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
    """The tensors of `model` to fill, and the files that fill them; nothing is changed yet.

    Raises:
        ViubenchError: names, shapes or dtypes differ, or one of the two has an adapter and the other has none.
    """
    from safetensors import safe_open

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
    saved = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (no mapping)
                tensor = file.get_tensor(name)
                saved[name] = (tuple(tensor.shape), tensor.dtype)
    filled = {id(own[name]) for name in saved if name in own}
    wanted = {name: t for name, t in own.items() if name in saved or id(t) not in filled}  # tied: saved once
    if {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in wanted.items()} != saved:
        raise ViubenchError(
            f"{checkpoint.name} holds the weights of another model",
            where=str(checkpoint),
            hint="open the base model, dtype and trained parts it was started with",
        )
    return wanted, files


def _copy_weights(own: Mapping[str, Tensor], files: list[Path]) -> None:
    import torch
    from safetensors import safe_open

    with torch.no_grad():
        for path in files:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  (no mapping)
                    own[name].copy_(fsdp.part_of(file.get_tensor(name), own[name]))
