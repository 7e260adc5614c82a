"""What a checkpoint lacks, taken from the model it was made from: the weights below an adapter, tokenizer, processor.

Example:
    describe("runs/lora/checkpoint-500")["base"]
    # 'Qwen/Qwen3-VL-8B-Instruct'

Such a checkpoint gets a folder of its own in the cache, with links to its files and to those of its base model, which
every engine opens as it opens any other. An adapter's weights come into it when an engine starts (see `merging`).
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from viubench.engines import checkpoints
from viubench.engines.checkpoints import ADAPTER, ADAPTER_CONFIG, INDEX
from viubench.errors import ViubenchError
from viubench.storage import environment
from viubench.storage.atomic import ASIDE

TOKENIZER = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.tiktoken")
PROCESSOR = ("*processor_config.json",)
TEMPLATE = ("chat_template*",)
GENERATION = ("generation_config.json",)
CONFIG = ("config.json", "*.py")
PICKLED = (".pt", ".pth", ".bin", ".pkl")


def describe(model: str, base_model: str | None = None) -> dict[str, Any]:
    """A checkpoint as `describe_checkpoint` gives it, completed by its base model where it lacks something.

    Args:
        base_model: folder or hub id of the model that it was made from; None for the one that an adapter names.

    Returns:
        Also, where something was taken from it, `base` (its name) and `given` (the checkpoint's own folder); `adapter`
        (a folder), where the weights in `path` come by merging that one into `base_path`.

    Raises:
        ViubenchError: as `describe_checkpoint`, or the base model is needed and not known, or not there.
    """
    folder, revision = checkpoints.locate(model)
    adapter = checkpoints.is_adapter(folder)
    if not adapter and (base_model is None or not _groups(folder)):
        return checkpoints.describe_checkpoint(model)
    return _completed(model, folder, revision, base_model, (checkpoints.stamp(folder), _root()))


@cache
def _completed(model: str, folder: Path, revision: str | None, base_model: str | None, _: object) -> dict[str, Any]:
    """Once for the same files, and place of the cache."""
    adapter = checkpoints.is_adapter(folder)
    base = _base(folder, base_model, adapter)
    require_complete(folder, base_model)
    own = checkpoints.fingerprint(folder)
    joined = _joined(folder, base, own, adapter)
    if not adapter:
        checkpoints.require_complete(joined)  # the base model may lack the same
    facts = checkpoints.read_facts(joined) | {
        "name": checkpoints.shown_name(model, folder, revision),
        "fingerprint": _hash(own, base["fingerprint"]),
        "base": base["name"],
        "given": str(folder),
    }
    if adapter:
        facts |= {"adapter": str(folder), "base_path": base["path"]}
    return facts if revision is None else facts | {"revision": revision}


def fingerprint(folder: Path, base_model: str | None = None) -> str:
    """That of `describe`, of the folder as it is now."""
    own, adapter = checkpoints.fingerprint(folder), checkpoints.is_adapter(folder)
    if not adapter and (base_model is None or not _groups(folder)):
        return own
    return _hash(own, _base(folder, base_model, adapter)["fingerprint"])


def is_unchanged(checkpoint: Mapping[str, Any]) -> bool:
    """Whether an adapter and its base model are still those of `describe`."""
    both = (checkpoints.fingerprint(Path(checkpoint[name])) for name in ("adapter", "base_path"))
    return bool(_hash(*both) == checkpoint["fingerprint"])


def require_complete(folder: Path, base_model: str | None = None) -> None:
    """Raise ViubenchError where the folder lacks what its base model cannot give, or a base model it needs."""
    adapter = checkpoints.is_adapter(folder)
    if not adapter:
        checkpoints.require_complete(folder, based=base_model is not None)
    elif lacking := [name for name in (ADAPTER_CONFIG, ADAPTER) if not (folder / name).is_file()]:
        hint = "copy it again; pickled weights are not opened, for they can run code: save it as safetensors"
        raise ViubenchError(f"an adapter without {lacking[0]}", where=str(folder), hint=hint)
    else:
        checkpoints.require_whole(folder / ADAPTER)
    if adapter or base_model is not None:
        _base(folder, base_model, adapter)


def _base(folder: Path, named: str | None, adapter: bool) -> dict[str, Any]:
    """The base model, described; the one that an adapter names where no other is named."""
    config = {} if named or not adapter else checkpoints.read_json(folder, ADAPTER_CONFIG)
    name = named or config.get("base_model_name_or_path")
    if not name:
        message = f"{ADAPTER_CONFIG} does not say which model it was trained on"
        raise ViubenchError(message, where=str(folder), hint="name that model with --base-model")
    try:
        base = checkpoints.describe_checkpoint(str(name), config.get("revision"))
    except ViubenchError as error:
        if named:
            raise ViubenchError(error.message, where="--base-model", hint=error.hint) from None
        message = f"it is an adapter to {name}, which cannot be opened: {error.message}"
        hint = "say where that model is with --base-model; one that is an adapter itself is to be merged first"
        raise ViubenchError(message, where=str(folder), hint=hint) from None
    if adapter and (quantised := checkpoints.read_json(Path(base["path"]), "config.json").get("quantization_config")):
        method = quantised.get("quant_method", "quantised") if isinstance(quantised, dict) else "quantised"
        message = f"its base model {base['name']} has {method} weights, which an adapter cannot be merged into"
        raise ViubenchError(message, where=str(folder), hint="name the model with whole weights with --base-model")
    return base


def _groups(folder: Path) -> list[tuple[str, ...]]:
    """Patterns of the files that a checkpoint lacks. Those of a kind belong together: where one is there, all are."""
    lacks: list[tuple[str, ...]] = []
    if not any((folder / name).is_file() for name in checkpoints.TOKENIZERS):
        lacks.append(TOKENIZER)
    if not any(folder.glob(PROCESSOR[0])):
        lacks.append(PROCESSOR)
    if not _has_template(folder):
        lacks.append(TEMPLATE)
    return lacks


def _has_template(folder: Path) -> bool:
    return any(folder.glob(TEMPLATE[0])) or bool(_settings(folder).get("chat_template"))


def _settings(folder: Path) -> dict[str, Any]:
    """The tokenizer's settings; none where they do not read, which its loader tells."""
    with suppress(ViubenchError):
        return checkpoints.read_json(folder, "tokenizer_config.json")
    return {}


def _hash(*texts: str) -> str:
    from blake3 import blake3

    return str(blake3(" ".join(texts).encode()).hexdigest(length=16))


def _root() -> Path:
    return environment.cache_folder("checkpoints")


def _joined(folder: Path, base: dict[str, Any], own: str, adapter: bool) -> Path:
    """A folder with links to the files of both, made where it is not there yet."""
    place = _root() / _hash(own, str(folder), base["fingerprint"], base["path"])
    if place.is_dir():
        return place
    groups = [CONFIG, GENERATION, *_groups(folder)] if adapter else _groups(folder)
    below = Path(base["path"])
    files = {path.name: path for group in groups for pattern in group for path in below.glob(pattern)}
    own_files = [path for path in folder.iterdir() if path.is_file() and path.suffix not in PICKLED]
    if adapter:
        own_files = [path for path in own_files if path.name not in (ADAPTER, ADAPTER_CONFIG, INDEX, "config.json")]
    files |= {path.name: path for path in own_files}
    aside = place.with_name(f".{place.name}.{uuid.uuid4().hex}{ASIDE}")
    try:
        aside.mkdir(parents=True)
        for name, path in files.items():
            (aside / name).symlink_to(path)
        if TEMPLATE in groups and not _has_template(aside) and (template := _settings(below).get("chat_template")):
            text = template if isinstance(template, str) else json.dumps(template)
            (aside / "chat_template.jinja").write_text(text, encoding="utf-8")
        with suppress(OSError):  # another process was faster
            os.rename(aside, place)
    except OSError as error:
        raise ViubenchError(f"cannot write to {error.filename}: {error.strerror}", where=environment.CACHE) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place
