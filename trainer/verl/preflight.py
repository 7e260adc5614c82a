"""Whether verl can train here: versions, GPUs, checkpoint, disk; each problem with a fix.

Example:
    [check.name for check in checks("~/verl/bin/python", config, Path("runs/verl")) if check.ok is False]
    # ['GPUs']

verl has an environment of its own (it needs another transformers), so its interpreter is probed, not this one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.verl import PINS
from trainer.verl.export import MULTIPLE
from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError
from viubench.system.doctor import Check
from viubench.version import __version__
from viubench.video.frame_cache import FrameCache

NEEDED = {
    "verl": "pip install 'verl[vllm,fsdp]==0.9.1'",
    "viubench": "pip install viubench there too (no extras): it has the frames, the rewards and the agent loop",
    "ray": "pip install 'ray[default]>=2.41'",
    "tensordict": "pip install 'tensordict>=0.8,<=0.10,!=0.9'",
    "TransferQueue": "pip install 'TransferQueue>=0.1.10', with which verl's trainer moves its batches",
    "torch": "pip install 'verl[vllm]', which pins one",
    "transformers": "pip install 'verl[vllm]', which pins one",
    "vllm": "pip install 'verl[vllm]', which pins one",
    "flash-attn": "pip install 'verl[fsdp]': verl opens models with it",
    "tensorboard": "pip install tensorboard",
}
"""Distribution -> how to install it in verl's environment."""

BYTES_PER_PARAMETER = 12
"""Of a verl checkpoint: weights and both moments of AdamW in float32."""

BYTES_PER_ROW = 8_000
"""Of a question in the parquet, at most: 5,200 on average before compression, 700 after it."""

SHARED_GB = 8.0
PROBE_SECONDS = 300
PROBE = """
import importlib.metadata, json, sys
asked, model = json.loads(sys.argv[1]), sys.argv[2]
answer = {"python": sys.version.split()[0], "versions": {}, "gpus": [], "torch": "", "processor": ""}
for name in asked:
    try:
        answer["versions"][name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
try:
    import torch
    answer["gpus"] = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
except Exception as error:
    answer["torch"] = f"{type(error).__name__}: {error}"
if model:
    try:
        from transformers import AutoProcessor
        processor = AutoProcessor.from_pretrained(model, trust_remote_code=False)
        answer["processor"] = f"{type(processor).__name__} {processor.video_processor.patch_size}"
    except Exception as error:
        answer["processor"] = f"{type(error).__name__}: {error}"
print("viubench " + json.dumps(answer))
"""


def checks(
    python: str, config: TrainConfig, out: Path, cache: FrameCache, *, gpus: int = 8, nodes: int = 1
) -> list[Check]:
    """All checks before a training of `config` by the verl of the interpreter `python`.

    Args:
        out: folder of the export and the checkpoints; need not exist yet.
        cache: where frames are kept on this node.
        gpus: per node; those of other nodes are not checked.

    Raises:
        ViubenchError: there is no such interpreter, or it does not answer.
    """
    local = Path(config.model).expanduser() if config.model else None
    model = str(local) if local is not None and local.is_dir() else ""
    answer = probe(python, model)
    results = [
        Check("python", True, f"{answer['python']} at {python}"),
        *(_version(name, answer["versions"].get(name), hint) for name, hint in NEEDED.items()),
        _gpus(answer, gpus, nodes),
        *_checkpoint(config, model, answer["processor"]),
        _disk(config, model, out.absolute()),
        _frames(cache),
    ]
    shared = Path("/dev/shm")  # noqa: S108  (only measured)
    if shared.is_dir():
        free = shutil.disk_usage(shared).free / 1e9
        enough = True if free >= SHARED_GB else None
        hint = "" if enough else "in a container: --shm-size=64g; ray's objects go through it"
        results.append(Check("shared memory", enough, f"{free:.1f} GB free at {shared}", hint))
    return results


def probe(python: str, model: str = "") -> dict[str, Any]:
    """Of the interpreter `python`: `python`, `versions`, `gpus`, `torch` (its error), `processor`."""
    where, hint = "--verl-python", "give the python of verl's environment, or set VIUBENCH_VERL_PYTHON"
    if shutil.which(python) is None:
        raise ViubenchError(f"no such interpreter: {python or 'none was given'}", where=where, hint=hint)
    try:
        done = subprocess.run(
            [python, "-c", PROBE, json.dumps(list(NEEDED)), model],
            capture_output=True, text=True, timeout=PROBE_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ViubenchError(f"{python} does not answer: {error}", where=where, hint=hint) from error
    line = re.search(r"^viubench (.+)$", done.stdout, re.M)
    if line is None:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise ViubenchError(f"{python} does not answer: {last}", where=where, hint=hint)
    answer: dict[str, Any] = json.loads(line[1])
    return answer


def _version(name: str, version: str | None, hint: str) -> Check:
    if version is None:
        return Check(name, False, "not installed", hint)
    if name in PINS and not version.startswith(f"{PINS[name]}."):
        return Check(name, False, f"{version}, but this project exports for {PINS[name]}", hint)
    if name == "viubench" and version != __version__:
        return Check(name, False, f"{version}, but this is {__version__}", "install the same one in both environments")
    return Check(name, True, version)


def _gpus(answer: dict[str, Any], gpus: int, nodes: int) -> Check:
    names = answer["gpus"]
    detail = f"{len(names)} here ({names[0]})" if names else answer["torch"] or "torch sees none"
    if len(names) >= gpus:
        return Check("GPUs", True, detail + (f", {gpus} required on each of {nodes} nodes" if nodes > 1 else ""))
    return Check("GPUs", False, f"{detail}; {gpus} are required", "train where there are so many, or give --gpus")


def _checkpoint(config: TrainConfig, model: str, processor: str) -> list[Check]:
    """Whether the model is a Qwen3-VL that fits the exported frames, and opens in verl's environment."""
    if not model:
        detail = f"{config.model or 'none'}: no folder here, so its patch size was not checked"
        return [Check("model", None, detail, "it must be a Qwen3-VL (patch 16)")]
    try:
        described = describe_checkpoint(model)
    except ViubenchError as error:
        return [Check("model", False, error.message, error.hint or "")]
    multiple, kind = described["size_multiple"], described["model_type"]
    fits = multiple == MULTIPLE and str(kind).startswith("qwen3_vl")
    detail = f"{kind}, frame sides are multiples of {multiple}"
    opens = processor.startswith("Qwen3VLProcessor ")
    return [
        Check("model", fits, detail, "" if fits else "the exported frames are for Qwen3-VL (patch 16, merged 2 by 2)"),
        Check("processor", opens, processor, "" if opens else "fix verl's environment: its transformers must open it"),
    ]


def _disk(config: TrainConfig, model: str, out: Path) -> Check:
    """Disk space for the questions, the kept checkpoints and the finished one, where the model's size is known."""
    free = shutil.disk_usage(next(place for place in (out, *out.parents) if place.exists())).free / 1e9
    rows = config.max_steps * config.train_batch_size * BYTES_PER_ROW / 1e9
    if not model:
        detail = f"{BYTES_PER_PARAMETER} bytes a parameter for each of {config.save_total_limit} checkpoints are needed"
        return Check("disk", None, f"{free:.0f} GB free at {out}; {rows:.1f} GB of questions, and {detail}")
    bytes_here = sum(path.stat().st_size for path in Path(model).glob("*.safetensors"))
    kept = (bytes_here / 2 * BYTES_PER_PARAMETER * config.save_total_limit + bytes_here) / 1e9  # bfloat16: 2 bytes
    detail = f"{free:.0f} GB free at {out}; {rows:.1f} GB of questions and about {kept:.0f} GB of checkpoints"
    enough = free >= rows + kept
    return Check("disk", enough, detail, "" if enough else "save_total_limit: 1, or another --out")


def _frames(cache: FrameCache) -> Check:
    """Disk space for what the frame cache may still grow by; where it is full it drops the oldest frames."""
    free = shutil.disk_usage(cache.root).free / 1e9
    room = (cache.max_bytes - sum(path.stat().st_size for path in cache.root.glob("*.frames"))) / 1e9
    detail = f"{free:.0f} GB free at {cache.root}, which may grow by {max(room, 0):.1f} GB"
    return Check(
        "frame cache", free >= room, detail, "" if free >= room else "free some space, or another --frame-cache"
    )
