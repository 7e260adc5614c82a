"""Checkpoint folders small enough to write by the hundred: files of the right kinds around eight bytes of weights.

Example:
    write(tmp_path / "checkpoint-200", seed=3, leave_out="tokenizer.json")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def weights(seed: int = 0) -> bytes:
    """A safetensors file with one tensor of two numbers."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return len(header).to_bytes(8, "little") + header + seed.to_bytes(8, "little")


def write(
    folder: Path, *, seed: int = 0, shards: int = 0, config: Any = None, leave_out: str = "", torn: int = 0
) -> Path:
    """Write a checkpoint whose weights differ by `seed`; `torn` bytes are missing from the end of the last file."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"model-{k:05d}-of-{shards:05d}.safetensors" for k in range(1, shards + 1)] or ["model.safetensors"]
    files = {
        "config.json": json.dumps({"model_type": "none"} if config is None else config).encode(),
        "tokenizer.json": b"{}",
        "processor_config.json": b"{}",
        **{name: weights(seed + k) for k, name in enumerate(names)},
    }
    if shards:
        index = {"weight_map": {f"w{k}": name for k, name in enumerate(names)}}
        files["model.safetensors.index.json"] = json.dumps(index).encode()
    if torn:
        files[names[-1]] = files[names[-1]][:-torn]
    for name, content in files.items():
        if name != leave_out:
            (folder / name).write_bytes(content)
    return folder
