"""The weights of an adapter, merged into its base model: once, into the folder in the cache that engines open.

Example:
    merge(describe("runs/lora/checkpoint-500"))   # its "path" now has model.safetensors

peft computes the sum, so every kind of adapter that it knows is merged, whatever part of the model it changes; vLLM's
own adapters are of its language model alone. An adapter of which a part finds no place would be scored as if that part
did not exist: it is refused.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
import warnings
from collections import defaultdict
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from viubench.engines import base_models, processors
from viubench.engines.checkpoints import ADAPTER, ADAPTER_CONFIG, INDEX, WEIGHTS, read_json
from viubench.errors import ViubenchError
from viubench.storage import atomic
from viubench.storage.atomic import ASIDE
from viubench.storage.locking import LOCK

ELSEWHERE = "VIUBENCH_CACHE names another folder"

KEPT, IN_USE_S = 2, 900.0
"""Merged models whose weights stay in the cache: those opened last, and any that may still be being opened."""

TIED, _TEXT = "tie_word_embeddings", ("text_config", "llm_config", "thinker_config")
_TOLD = ("name", "base", "path")

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
    try:
        with FileLock(folder / LOCK):
            if not _has_weights(folder):
                log.warning("%s is an adapter: merging it into %s, kept in %s", *(checkpoint[name] for name in _TOLD))
                _write(checkpoint, folder, trust)
            os.utime(folder)
    except OSError as error:
        if _has_weights(folder):  # in a cache that others filled and that is read-only here
            return
        message = f"the merged weights cannot be written: {error.strerror or error}"
        raise ViubenchError(message, where=str(folder), hint=ELSEWHERE) from error
    _forget(folder)


def _has_weights(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()


def _write(checkpoint: Mapping[str, Any], folder: Path, trust: bool) -> None:
    aside = folder / f".{uuid.uuid4().hex}{ASIDE}"
    for left in folder.glob(f".*{ASIDE}"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        model = merged(Path(checkpoint["adapter"]), checkpoint["base_path"], trust)
        try:
            model.save_pretrained(aside)
        except Exception as error:  # that of a full disk comes in a type of safetensors' own
            message = f"the merged weights cannot be written: {' '.join(str(error).split())[:400]}"
            raise ViubenchError(message, where=str(folder), hint=ELSEWHERE) from error
        if not base_models.is_unchanged(checkpoint):  # they would be kept under the name of what was there before
            hint = "run it again when nothing writes to them any more"
            message = f"the adapter or its base model {checkpoint['base']} changed while they were merged"
            raise ViubenchError(message, where=checkpoint["adapter"], hint=hint)
        if not _is_tied(model):
            _tell_untied(Path(checkpoint["base_path"]), folder)
        for weights in sorted(aside.glob("*.safetensors")):
            os.rename(weights, folder / weights.name)
        if (aside / INDEX).is_file():
            os.rename(aside / INDEX, folder / INDEX)  # last: it says that all are there
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def merged(adapter: Path, base: str, trust: bool = False) -> Any:
    """The base model with the adapter's changes in its weights, in their number format; raises as `merge`."""
    try:
        import peft
    except ImportError as error:
        raise ViubenchError(f"an adapter needs peft: {error}", where=str(adapter), hint="pip install peft") from error
    _require_known(adapter, peft)
    model = processors.open_model(base, trust, dtype="auto")
    try:
        renamed = _renamed(model)
        tuned = peft.PeftModel.from_pretrained(model, str(adapter), key_mapping=renamed)
        weights = peft.load_peft_weights(str(adapter), device="cpu", key_mapping=renamed)
        loaded = peft.set_peft_model_state_dict(tuned, weights)
        _require_all(loaded, tuned.base_model.prefix, adapter, base)
        return _sum(tuned)
    except ViubenchError:
        raise
    except Exception as error:  # whatever peft raises, the user needs the reason, not the trace
        reason = " ".join(str(error).split())[:400]
        hint = "check that it was trained on this base model (--base-model names another), and peft's version"
        if "size mismatch" in reason and "embed_tokens" in reason:
            hint += "; where tokens were added, name the model that was resized for them with --base-model"
        raise ViubenchError(f"peft cannot merge it: {reason}", where=str(adapter), hint=hint) from error


def _require_known(adapter: Path, peft: Any) -> None:
    """Raise ViubenchError for a kind of adapter that has no sum with weights, or that this peft does not know, whole or
    in a setting: peft itself leaves out what it does not know, and warns."""
    config = read_json(adapter, ADAPTER_CONFIG)
    version, kind = peft.__version__, str(config.get("peft_type"))
    known = {str(getattr(one, "value", one)): made for one, made in peft.PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    newer = f"use the peft it was trained with ({config.get('peft_version') or 'or a newer one'})"
    if kind not in known:
        message = f"its peft_type is {kind}, which peft {version} does not know"
        raise ViubenchError(message, where=str(adapter / ADAPTER_CONFIG), hint=newer)
    if not hasattr(peft.PEFT_TYPE_TO_TUNER_MAPPING.get(kind), "merge_and_unload"):
        message = f"a {kind} adapter changes no weights, such as one that adds to the prompt: it cannot be merged"
        raise ViubenchError(message, where=str(adapter), hint="serve it with its base model, and give --base-url")
    unknown = [name for name, value in config.items() if value and name not in signature(known[kind]).parameters]
    if unknown:
        message = f"it sets {', '.join(unknown)}, which peft {version} does not know and would leave out"
        raise ViubenchError(message, where=str(adapter / ADAPTER_CONFIG), hint=newer)


def _sum(tuned: Any) -> Any:
    """The model with the adapter in its weights. A layer that shares its weights with another, as the output does with
    the embeddings, gets them for itself first where an adapter changes one of the two: the other stays as it is. Where
    both are equal in the end, they are shared again."""
    import torch

    names = defaultdict(list)
    for name, weights in tuned.named_parameters(remove_duplicate=False):
        names[id(weights)].append(name)
    shared = {name for group in names.values() if len(group) > 1 for name in group}
    changed = any(name.endswith(".base_layer.weight") for name in shared)
    parted = []
    for name in sorted(shared, key=lambda one: ".base_layer." in one) if changed else ():
        owner, _, attribute = name.rpartition(".")
        module = tuned.get_submodule(owner)
        first = getattr(module, attribute)
        setattr(module, attribute, torch.nn.Parameter(first.detach().clone(), requires_grad=False))
        parted.append((module, attribute, id(first)))
    says = tuned.base_model.model.config
    told = getattr(says, TIED, None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Input and output embeddings are no longer tied")
        model = tuned.merge_and_unload(safe_merge=True)
    together: dict[int, Any] = {}
    for module, attribute, group in parted:
        weights = together.setdefault(group, getattr(module, attribute))
        if torch.equal(weights, getattr(module, attribute)):
            setattr(module, attribute, weights)
    if told is not None and _is_tied(model):
        setattr(model.config, TIED, told)
    return model


def _is_tied(model: Any) -> bool:
    """Whether input and output have the same weights, or the model does not say which they are."""
    layers = model.get_input_embeddings(), model.get_output_embeddings()
    first, second = (getattr(layer, "weight", None) for layer in layers)
    return first is None or second is None or first is second


def _tell_untied(base: Path, folder: Path) -> None:
    """Let `config.json` say that the output has weights of its own, which an engine would else not open."""
    config = read_json(base, "config.json")
    untied = _untied(config)
    if untied != config:
        atomic.write(folder / "config.json", json.dumps(untied, indent=2).encode())


def _untied(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration in which no part ties them, and those that are so where nothing is said neither."""
    parts = {name: _untied(part) for name, part in config.items() if name in _TEXT and isinstance(part, dict)}
    return config | parts | {TIED: False}


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
