"""What a checkpoint is, read from its files without torch: name, fingerprint, architecture, frame size multiple.

Example:
    describe_checkpoint("tiny-qwen3-vl")["architecture"]
    # 'Qwen3VLForConditionalGeneration'
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from viubench.errors import ViubenchError

WHOLE_BYTES = 256 * 2**20
"""Weights up to this size are hashed whole; of larger ones, the head, middle and tail of every tensor."""
PIECE = 4096
HEADER_LIMIT = 100 * 2**20  # bytes of header that safetensors itself accepts

INDEX, WEIGHTS = "model.safetensors.index.json", "model.safetensors"

ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""A checkpoint has a tokenizer where it has one of these."""

_PART = re.compile(r"^model-(\d{1,6})-of-(\d{1,6})\.safetensors$")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SMALL_FILES = (
    "config.json", "generation_config.json", "tokenizer*", "*processor_config.json", "chat_template*", "*.py",
    ADAPTER_CONFIG,
)  # fmt: skip
_FETCHED_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "*.py")


def describe_checkpoint(model: str, revision: str | None = None) -> dict[str, Any]:
    """Read a checkpoint folder, or a hub id whose files (of its newest `revision`, or this one) are fetched or already
    in the cache.

    Returns:
        `name` (shown in tables), `path` (the folder), `architecture`, `model_type`, `size_multiple` (patch x merge in
        pixels, None when the files do not say), `context` (tokens, None when unknown), `cache_values` (numbers that
        the key-value cache keeps per token, None when unknown), `fingerprint` (32 hex digits over the weights and
        every file that steers them), and for a hub id its `revision`.

    Raises:
        ViubenchError: no such folder or hub id, or the folder is no complete checkpoint; says what is missing.
    """
    folder, revision = locate(model, revision)
    return _described(model, folder, revision, stamp(folder))


@cache
def _described(model: str, folder: Path, revision: str | None, _: Stamp) -> dict[str, Any]:
    require_complete(folder)
    facts = read_facts(folder) | {"name": shown_name(model, folder, revision), "fingerprint": fingerprint(folder)}
    return facts if revision is None else facts | {"revision": revision}


def read_facts(folder: Path) -> dict[str, Any]:
    """What the configuration in a folder says of its model; ViubenchError where it does not read."""
    config = _read_config(folder)
    text = config.get("text_config") or config
    return {
        "path": str(folder),
        "architecture": (config.get("architectures") or [None])[0],
        "model_type": config.get("model_type"),
        "size_multiple": _size_multiple(folder, config),
        "context": text.get("max_position_embeddings"),
        "cache_values": _cache_values(text),
    }


def shown_name(model: str, folder: Path, revision: str | None) -> str:
    """What a model is called in tables: its hub id, or the folder's name."""
    named = model.rstrip("/").rsplit("/", 1)[-1]
    return model if revision is not None else named if named not in ("", ".", "..", "~") else folder.name


def fingerprint(folder: Path) -> str:
    """blake3 over names, safetensors headers, weights, and the files that steer the model; seconds for 16 GB.

    Up to `WHOLE_BYTES` every byte counts; beyond that 12 KiB of each tensor, which any training step changes.
    """
    from blake3 import blake3

    digest = blake3()
    steering = {path for pattern in _SMALL_FILES for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(steering):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    weights = sorted(folder.glob("*.safetensors"))
    whole = sum(path.stat().st_size for path in weights) <= WHOLE_BYTES
    for path in weights:
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        if whole:
            digest.update_mmap(path)
        else:
            digest.update(_tensor_pieces(path))
    return digest.hexdigest(length=16)


Stamp = tuple[tuple[str, int, int], ...]


class WeightsHeader(NamedTuple):
    """The beginning of a safetensors file."""

    raw: bytes  # its length (8 bytes) and its JSON, as they stand in the file
    tensors: dict[str, Any]  # name -> `dtype`, `shape` and `data_offsets`
    spans: list[list[int]]  # [begin, end) of each tensor in bytes after the header, in order
    end: int  # bytes that the whole file has


def read_header(path: Path) -> WeightsHeader:
    """The header of a safetensors file, whatever follows it; raises ViubenchError when it does not read."""
    with path.open("rb") as file:
        raw = file.read(8)
        raw += file.read(min(int.from_bytes(raw, "little"), HEADER_LIMIT))
    try:
        tensors = {name: about for name, about in json.loads(raw[8:]).items() if name != "__metadata__"}
        spans = sorted([int(begin), int(end)] for begin, end in (about["data_offsets"] for about in tensors.values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ViubenchError(
            "not a safetensors file: its header does not read", where=str(path), hint="copy the file again"
        ) from error
    return WeightsHeader(raw, tensors, spans, len(raw) + max((end for _, end in spans), default=0))


def parameters(folder: Path) -> int:
    """Numbers in the weights of a checkpoint folder, by the headers of its safetensors files."""
    headers = [read_header(path) for path in folder.glob("*.safetensors")]
    return sum(math.prod(about["shape"]) for header in headers for about in header.tensors.values())


def _tensor_pieces(path: Path) -> bytes:
    header = read_header(path)
    pieces = [header.raw]
    with path.open("rb") as file:
        for begin, end in header.spans:
            for offset in sorted({begin, (begin + end) // 2, max(begin, end - PIECE)}):
                file.seek(len(header.raw) + offset)
                pieces.append(offset.to_bytes(8, "little") + file.read(min(PIECE, end - offset)))
    return b"".join(pieces)


def stamp(folder: Path) -> Stamp:
    """Name, bytes and time of change (ns) of each of its files: others are another checkpoint in the same place."""
    stats = ((path.name, path.stat()) for path in folder.iterdir() if path.is_file())
    return tuple(sorted((name, about.st_size, about.st_mtime_ns) for name, about in stats))


def locate(model: str, revision: str | None = None) -> tuple[Path, str | None]:
    """The folder of a model, and of one from the hub its revision; raises as `describe_checkpoint`."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve(), None
    if folder.exists():
        raise ViubenchError(
            f"{model} is a file", hint="give the checkpoint's folder, or a hub id such as Qwen/Qwen3-VL-8B-Instruct"
        )
    if not _HUB_ID.fullmatch(model):
        raise ViubenchError(
            f"no such checkpoint folder: {model}", hint="give an existing folder or a hub id (owner/name)"
        )
    return _fetched(model, revision)


@cache
def _fetched(model: str, revision: str | None) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=list(_FETCHED_FILES)))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ViubenchError(
            f"{model} is neither a folder nor a model the hub gives: {reason}",
            hint="check the name and the network, or download the checkpoint and give its folder",
        ) from error
    return folder, folder.name


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter (LoRA or another of peft's), and no model of its own."""
    weights = {path.name for path in folder.glob("*.safetensors")}
    configured = (folder / ADAPTER_CONFIG).is_file() and not (folder / "config.json").is_file()
    return weights <= {ADAPTER} and (configured or ADAPTER in weights)


def require_complete(folder: Path, *, based: bool = False) -> None:
    """Raise ViubenchError unless configuration, tokenizer, processor and all weights are there, as long as they say.
    One that is `based` on another model takes tokenizer and processor from it where it has none."""
    weights = {path.name: path for path in sorted(folder.glob("*.safetensors"))}
    _refuse_adapter(folder, weights)
    _read_config(folder)
    missing = []
    if not weights:
        missing.append("weights as .safetensors" + _other_weights(folder))
    elif lost := _lost(folder, weights):
        missing.append(lost)
    hint = "copy the missing files from the model it was made from"
    if not (based or _has(folder, *TOKENIZERS)):
        missing.append("a tokenizer (tokenizer.json)")
    if not (based or _has(folder, "processor_config.json", "preprocessor_config.json")):
        missing.append("a processor (processor_config.json or preprocessor_config.json)")
    if missing:
        if weights and "weight" not in missing[0]:
            hint = "name the model that it was made from: --base-model MODEL"
        raise ViubenchError(f"not a complete checkpoint: it lacks {'; '.join(missing)}", where=str(folder), hint=hint)
    for path in weights.values():
        require_whole(path)


def require_whole(path: Path) -> None:
    """Raise ViubenchError unless a safetensors file is as long as its header says."""
    size, promised = path.stat().st_size, read_header(path).end
    if size != promised:
        raise ViubenchError(f"torn weights: {size} of {promised} bytes", where=str(path), hint="copy the file again")


SHARDED = {
    ("*.distcp", "*/*.distcp"): "accelerate merge-weights",
    ("*/*_model_states.pt",): "zero_to_fp32.py, which DeepSpeed puts beside them",
    ("model_world_size_*.pt", "../model_world_size_*.pt"): "python -m verl.model_merger merge",
}
"""Weights that each process of a training saved for itself, and what joins them."""


def _other_weights(folder: Path) -> str:
    """What there is in the place of weights as safetensors."""
    for patterns, tool in SHARDED.items():
        if _has(folder, *patterns):
            return f" (each process saved its own part: join them with {tool})"
    pickled = _has(folder, "*.bin", "*.pt", "*.pth", "../*.pt")
    return " (pickled weights are not opened: they can run code)" if pickled else ""


def _has(folder: Path, *patterns: str) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in patterns)


def _size_multiple(folder: Path, config: dict[str, Any]) -> int | None:
    """Patch size x merge size: what both sides of a frame must be a multiple of."""
    vision = config.get("vision_config") or {}
    patch, merge = vision.get("patch_size"), vision.get("spatial_merge_size")
    for name in ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json"):
        if isinstance(patch, int) and isinstance(merge, int):
            break
        settings = read_json(folder, name) if (folder / name).is_file() else {}
        settings = settings.get("video_processor", settings)
        patch, merge = patch or settings.get("patch_size"), merge or settings.get("merge_size")
    return patch * merge if isinstance(patch, int) and isinstance(merge, int) else None


def _cache_values(text: dict[str, Any]) -> int | None:
    """Keys and values of all layers for one token."""
    heads = text.get("num_attention_heads")
    sizes = (text.get("num_hidden_layers"), text.get("num_key_value_heads", heads), heads, text.get("hidden_size"))
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        return None
    layers, cached, heads, hidden = (int(str(size)) for size in sizes)
    return 2 * layers * cached * int(text.get("head_dim") or hidden // heads)


def _lost(folder: Path, weights: Collection[str]) -> str:
    """Which files of the weights are not there, by their list or, where there is none, their numbers; or empty."""
    if (folder / INDEX).is_file():
        shards = read_json(folder, INDEX).get("weight_map")
        if not isinstance(shards, dict):
            raise ViubenchError(f"{INDEX} does not read: it has no weight_map", where=str(folder / INDEX))
        lost = sorted({str(name) for name in shards.values()} - set(weights))
        return f"{len(lost)} of {len(set(shards.values()))} weight files ({lost[0]})" if lost else ""
    parts = [(int(part[1]), int(part[2])) for part in map(_PART.search, weights) if part]
    there, total = {number for number, _ in parts}, max((total for _, total in parts), default=0)
    absent = [number for number in range(1, total + 1) if number not in there]
    return f"{len(absent)} of {total} weight files (number {absent[0]})" if absent else ""


def _refuse_adapter(folder: Path, weights: Collection[str]) -> None:
    """transformers opens another model where it finds an adapter's configuration: the one that it was trained on."""
    whole = set(weights) - {ADAPTER}
    if not (folder / ADAPTER_CONFIG).is_file() and (whole or ADAPTER not in weights):
        return
    if whole:
        raise ViubenchError(
            "it holds a model and an adapter: which of them is meant?",
            where=str(folder),
            hint="where the adapter is merged into these weights, move adapter_config.json away",
        )
    hint = "viubench run and viubench watch do that; for other uses save what peft's merge_and_unload gives"
    raise ViubenchError("it is an adapter: merge it into its base model", where=str(folder), hint=hint)


def _read_config(folder: Path) -> dict[str, Any]:
    """config.json, of which the parts that are read here are of their form."""
    inner = []
    if not (folder / "config.json").exists():
        inner = sorted({path.parent for name in ("config.json", ADAPTER_CONFIG) for path in folder.glob(f"*/{name}")})
    if inner:
        raise ViubenchError(
            f"it holds {len(inner)} folders with models, and is none itself",
            where=str(folder),
            hint=f"give one of them, for example {inner[-1]}; viubench watch evaluates each",
        )
    config = read_json(folder, "config.json")
    for name, kind in (("architectures", list), ("text_config", dict), ("vision_config", dict)):
        if not isinstance(config.get(name) or kind(), kind):
            what = "list" if kind is list else "object"
            where = str(folder / "config.json")
            raise ViubenchError(f"config.json: {name} is no {what}", where=where, hint="copy the file again")
    return config


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint; ViubenchError where there is none."""
    path = folder / name
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ViubenchError(
            f"not a checkpoint: it has no {name}", where=str(folder), hint="give a folder in Hugging Face format"
        ) from error
    except (ValueError, OSError) as error:
        raise ViubenchError(f"{name} does not read: {error}", where=str(path), hint="copy the file again") from error
    if not isinstance(data, dict):
        raise ViubenchError(f"{name} holds no JSON object", where=str(path), hint="copy the file again")
    return data
