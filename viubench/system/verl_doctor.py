"""Whether verl can train here, in an environment of its own: versions, GPUs, checkpoint, disk.

Example:
    training = Training("checkpoints/qwen3-vl-8b", multiple=32, questions=29_952, checkpoints=2)
    found = checks("~/verl/bin/python", training, Path("runs/verl"), FrameCache(Path("frames")), {"verl": "0.9"})
    [check.name for check in found if check.ok is False]
    # ['GPUs']
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError
from viubench.system.doctor import Check
from viubench.version import __version__
from viubench.video.frame_cache import FrameCache

NEEDED = ("viubench", "ray", "tensordict", "TransferQueue", "torch", "flash-attn", "tensorboard")
INSTALL = "pip install 'verl[vllm,fsdp]==0.9.1' tensorboard, and viubench without extras, in its environment"

BYTES_PER_PARAMETER = 12  # of a verl checkpoint: weights and both moments of AdamW in float32
BYTES_PER_ROW = 8_000  # of a question in the parquet, at most: 5,200 on average before compression, 700 after it
SHM, SHARED = Path("/dev/shm"), 8 * 10**9  # noqa: S108  (only measured)
PROBE_SECONDS = 300
PROBE = """
import importlib.metadata, json, sys

def told(find, *args):
    try:
        return find(*args), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"

def gpus():
    import torch
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]

def processor(model):
    from transformers import AutoProcessor
    opened = AutoProcessor.from_pretrained(model, trust_remote_code=False)
    return f"{type(opened).__name__} {opened.video_processor.patch_size}"

answer = {name: told(importlib.metadata.version, name)[0] for name in sys.argv[2:]}
answer |= {"python": sys.version.split()[0], "GPUs": told(gpus), "processor": told(processor, sys.argv[1])}
print("viubench " + json.dumps(answer))
"""


@dataclass(frozen=True)
class Training:
    """What verl is to train: `model` (a folder or a hub id), frames whose sides are multiples of `multiple`, so many
    `questions` in all, and how many checkpoints are kept; `gpus` are per node."""

    model: str
    multiple: int
    questions: int
    checkpoints: int
    gpus: int = 8
    nodes: int = 1


def checks(python: str, training: Training, out: Path, cache: FrameCache, pins: Mapping[str, str]) -> list[Check]:
    """All checks before a training by the verl of the interpreter `python`, of the series `pins`; raises as `probe`.
    `out`, which need not exist yet, is for export and checkpoints; `cache` for frames on this node. GPUs of other nodes
    are not checked."""
    local = Path(training.model).expanduser()
    model, n = str(local) if training.model and local.is_dir() else "", training.checkpoints
    answer = probe(python, model, [*pins, *NEEDED])
    weights = sum(path.stat().st_size for path in local.glob("*.safetensors")) if model else 0
    kept = weights // 2 * BYTES_PER_PARAMETER * n + weights  # bfloat16: 2 bytes a parameter
    room = max(cache.max_bytes - sum(path.stat().st_size for path in cache.root.glob("*.frames")), 0)
    return [
        Check("python", True, f"{answer['python']} at {python}"),
        *(_version(name, answer[name], {**pins, "viubench": __version__}) for name in (*pins, *NEEDED)),
        _gpus(answer["GPUs"], training.gpus, training.nodes),
        *_checkpoint(training, model, next(filter(None, answer["processor"]))),
        _space("disk", out.absolute(), training.questions * BYTES_PER_ROW + kept, f"of questions and {n} checkpoints"),
        _space("frame cache", cache.root, room, "by which it may grow; full, it drops the oldest frames"),
        _space("shared memory", SHM, SHARED, "for ray's objects; in a container: --shm-size=64g"),
    ]


def require(found: Sequence[Check], python: str) -> None:
    """Raises ViubenchError with every one of the checks that failed."""
    faults = [f"{one.name}: {one.detail}" + (f" -> {one.hint}" if one.hint else "") for one in found if one.ok is False]
    if faults:
        raise ViubenchError("verl cannot train here\n  " + "\n  ".join(faults), where=python)


def probe(python: str, model: str, packages: Sequence[str]) -> dict[str, Any]:
    """Of the interpreter `python`: its version; those of `packages`, None where one is not installed; `GPUs` and
    `processor`, each as found, or None and an error. Raises ViubenchError where it is none, or does not answer."""
    where, hint = "--verl-python", "give the python of verl's environment, or set VIUBENCH_VERL_PYTHON"
    if shutil.which(python) is None:
        raise ViubenchError(f"no such interpreter: {python or 'none was given'}", where=where, hint=hint)
    command = [python, "-c", PROBE, model, *packages]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ViubenchError(f"{python} does not answer: {error}", where=where, hint=hint) from error
    if (line := re.search(r"^viubench (.+)$", done.stdout, re.M)) is None:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise ViubenchError(f"{python} does not answer: {last}", where=where, hint=hint)
    return json.loads(line[1])  # type: ignore[no-any-return]


def _version(name: str, version: str | None, pins: Mapping[str, str]) -> Check:
    due = pins.get(name, "")
    if version is None:
        return Check(name, False, "not installed", INSTALL)
    if due and not f"{version}.".startswith(f"{due}."):
        return Check(name, False, f"{version}, but this project exports for {due}", INSTALL)
    return Check(name, True, version)


def _gpus(found: tuple[list[str] | None, str], gpus: int, nodes: int) -> Check:
    names, error = found
    detail = f"{len(names)} here ({names[0]})" if names else error or "torch sees none"
    if len(names or ()) >= gpus:
        return Check("GPUs", True, detail + (f", {gpus} required on each of {nodes} nodes" if nodes > 1 else ""))
    return Check("GPUs", False, f"{detail}; {gpus} are required", "train where there are so many, or give --gpus")


def _checkpoint(training: Training, model: str, processor: str) -> list[Check]:
    """Whether the model is a Qwen3-VL that fits the exported frames, and opens in verl's environment."""
    if not model:
        detail = f"{training.model or 'none'}: no folder here, so patch size and disk space were not checked"
        return [Check("model", None, detail, "it must be a Qwen3-VL (patch 16)")]
    try:
        described = describe_checkpoint(model)
    except ViubenchError as error:
        return [Check("model", False, error.message, error.hint or "")]
    multiple, kind = described["size_multiple"], described["model_type"]
    fits = multiple == training.multiple and str(kind).startswith("qwen3_vl")
    detail, opens = f"{kind}, frame sides are multiples of {multiple}", processor.startswith("Qwen3VLProcessor ")
    return [
        Check("model", fits, detail, "" if fits else "the exported frames are for Qwen3-VL (patch 16, merged 2 by 2)"),
        Check("processor", opens, processor, "" if opens else "fix verl's environment: its transformers must open it"),
    ]


def _space(name: str, place: Path, needed: int, what: str) -> Check:
    """Whether `place`, which need not exist yet, has the bytes that are `needed`; Ray goes on with less shared
    memory."""
    free = shutil.disk_usage(next(path for path in (place, *place.parents) if path.exists())).free
    detail = f"{free / 1e9:.0f} GB free at {place}, {needed / 1e9:.1f} GB {what}"
    ok, hint = (True, "") if free >= needed else (False, "free some space, or choose another folder")
    return Check(name, None if place == SHM and not ok else ok, detail, hint)
