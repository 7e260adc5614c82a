"""The weights of an adapter, merged into its base model: once, into the folder in the cache that engines open.

Example:
    merge(describe("runs/lora/checkpoint-500"))   # its "path" now has model.safetensors

peft computes the sum, so every kind of adapter that it knows is merged, whatever part of the model it changes; vLLM's
own adapters are of its language model alone. An adapter of which a part finds no place would be scored as if that part
did not exist: it is refused.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from viubench.engines import processors
from viubench.engines.checkpoints import ADAPTER, INDEX, WEIGHTS
from viubench.errors import ViubenchError
from viubench.storage.atomic import ASIDE
from viubench.storage.locking import LOCK

KEPT, IN_USE_S = 2, 900.0
"""Merged models whose weights stay in the cache: those opened last, and any that may still be being opened."""

log = logging.getLogger(__name__)


def merge(checkpoint: Mapping[str, Any], *, trust: bool = False) -> None:
    """Bring the weights of a checkpoint of `base_models.describe` into its folder; nothing where they are there, or it
    is no adapter. Other processes wait for the one that merges.

    Raises:
        ViubenchError: peft is missing or cannot merge it, a part of it fits nowhere, or there is no room.
    """
    if "adapter" not in checkpoint:
        return
    folder = Path(checkpoint["path"])
    with FileLock(folder / LOCK):
        if not _has_weights(folder):
            log.warning("%s is an adapter: merging it into %s, kept in %s", *(checkpoint[name] for name in _TOLD))
            _write(checkpoint, folder, trust)
        os.utime(folder)
    _forget(folder)


_TOLD = ("name", "base", "path")


def _has_weights(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()


def _write(checkpoint: Mapping[str, Any], folder: Path, trust: bool) -> None:
    aside = folder / f".{uuid.uuid4().hex}{ASIDE}"
    for left in folder.glob(f".*{ASIDE}"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        merged(Path(checkpoint["adapter"]), checkpoint["base_path"], trust).save_pretrained(aside)
        for weights in sorted(aside.glob("*.safetensors")):
            os.rename(weights, folder / weights.name)
        if (aside / INDEX).is_file():
            os.rename(aside / INDEX, folder / INDEX)  # last: it says that all are there
    except OSError as error:
        message = f"the merged weights cannot be written: {error.strerror or error}"
        raise ViubenchError(message, where=str(folder), hint="VIUBENCH_CACHE names another folder") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def merged(adapter: Path, base: str, trust: bool = False) -> Any:
    """The base model with the adapter's changes in its weights, in their number format; raises as `merge`."""
    try:
        import peft
    except ImportError as error:
        raise ViubenchError(f"an adapter needs peft: {error}", where=str(adapter), hint="pip install peft") from error
    model = processors.open_model(base, trust, dtype="auto")
    try:
        renamed = _renamed(model)
        tuned = peft.PeftModel.from_pretrained(model, str(adapter), key_mapping=renamed)
        weights = peft.load_peft_weights(str(adapter), device="cpu", key_mapping=renamed)
        loaded = peft.set_peft_model_state_dict(tuned, weights)
        _require_all(loaded, tuned.base_model.prefix, adapter, base)
        return tuned.merge_and_unload(safe_merge=True)
    except ViubenchError:
        raise
    except Exception as error:  # whatever peft raises, the user needs the reason, not the trace
        reason = " ".join(str(error).split())[:400]
        hint = "check that it was trained on this base model (--base-model names another), and peft's version"
        raise ViubenchError(f"peft cannot merge it: {reason}", where=str(adapter), hint=hint) from error


def _renamed(model: Any) -> dict[str, str]:
    """How layers of a model were called before (a pattern) and are now, by the table with which transformers renames
    those of checkpoints: adapters of older trainers have the former names."""
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
    except ImportError:  # before 5
        return dict(getattr(model, "_checkpoint_conversion_mapping", None) or {})
    plain = [one for one in get_model_conversion_mapping(model) if type(one).__name__ == "WeightRenaming"]
    pairs = [(one.source_patterns, one.target_patterns) for one in plain]
    return {old[0]: new[0] for old, new in pairs if len(old) == len(new) == 1}


def _require_all(loaded: Any, prefix: str, adapter: Path, base: str) -> None:
    """Raise ViubenchError where weights of the adapter found no place, or places no weights."""
    lost = sorted(loaded.unexpected_keys)
    empty = sorted(name for name in loaded.missing_keys if prefix in name or ".modules_to_save." in name)
    hint = "it was trained on another model, or with versions of transformers and peft that name layers otherwise"
    if lost:
        message = f"{len(lost)} of its weights fit nowhere in {base} ({lost[0]})"
        raise ViubenchError(message, where=str(adapter / ADAPTER), hint=hint)
    if empty:
        message = f"{len(empty)} layers of {base} find no weights in it ({empty[0]})"
        raise ViubenchError(message, where=str(adapter / ADAPTER), hint=hint)


def _forget(kept: Path) -> None:
    """Remove the weights of merged models that were opened long ago."""
    others = [path for path in kept.parent.iterdir() if path != kept and (path / LOCK).is_file()]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in [path for path in others if _has_weights(path)][KEPT - 1 :]:
        if time.time() - folder.stat().st_mtime < IN_USE_S:
            continue
        try:
            with FileLock(folder / LOCK, timeout=0):
                for path in [folder / INDEX, *folder.glob("*.safetensors")]:
                    path.unlink(missing_ok=True)
        except (Timeout, OSError):  # it is being written, or is not ours
            continue
