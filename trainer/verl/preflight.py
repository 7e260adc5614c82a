"""Whether verl can train here: its versions, its GPUs, the checkpoint, the disk; each fault with what to do about it.

Example:
    >>> [check.name for check in checks("~/verl/bin/python", config, Path("runs/verl")) if check.ok is False]
    ['GPUs']

verl lives in an environment of its own (it wants another transformers), so its interpreter is asked, not this one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.verl.export import TOKEN
from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError
from viubench.system.doctor import Check
from viubench.version import __version__

VERL = "0.9"
"""The series whose rows, hooks and options this project writes; tried with 0.9.1."""

NEEDED = {
    "verl": f"pip install 'verl[vllm,fsdp]=={VERL}.1'",
    "viubench": "pip install viubench into it too (no extras): the rewards and the rollout are in it",
    "ray": "pip install 'ray[default]>=2.41'",
    "tensordict": "pip install 'tensordict>=0.8,<=0.10,!=0.9'",
    "TransferQueue": "pip install 'TransferQueue>=0.1.10', with which verl's trainer moves its batches",
    "torch": "pip install 'verl[vllm]', which pins one",
    "transformers": "pip install 'verl[vllm]', which pins one",
    "vllm": "pip install 'verl[vllm]', which pins one",
    "flash-attn": "pip install 'verl[fsdp]': verl opens models with it",
    "qwen-vl-utils": "pip install 'qwen-vl-utils>=0.0.14', which reads the pictures",
    "tensorboard": "pip install tensorboard",
}
"""Distribution -> how it gets into verl's environment."""

BYTES_PER_PARAMETER = 12
"""Of a verl checkpoint: the weights and both moments of AdamW in float32."""

SHARED_GB = 8.0
ASK_SECONDS = 120
PROBE = """
import importlib.metadata, json, sys
asked, model = json.loads(sys.argv[1]), sys.argv[2]
told = {"python": sys.version.split()[0], "versions": {}, "gpus": [], "torch": "", "processor": ""}
for name in asked:
    try:
        told["versions"][name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
try:
    import torch
    told["gpus"] = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
except Exception as error:
    told["torch"] = f"{type(error).__name__}: {error}"
if model:
    try:
        from transformers import AutoProcessor
        processor = AutoProcessor.from_pretrained(model)
        told["processor"] = f"{type(processor).__name__} {processor.video_processor.patch_size}"
    except Exception as error:
        told["processor"] = f"{type(error).__name__}: {error}"
print("told " + json.dumps(told))
"""


def checks(python: str, config: TrainConfig, out: Path, *, gpus: int = 8, nodes: int = 1) -> list[Check]:
    """Everything there is to check before a training of `config` by the verl of the interpreter `python`.

    Args:
        out: where the checkpoints will go; need not exist yet.
        gpus: per node; those of other nodes are not looked at.

    Raises:
        ViubenchError: there is no such interpreter, or it does not answer.
    """
    local = Path(config.model).expanduser() if config.model else None
    model = str(local) if local is not None and local.is_dir() else ""
    told = ask(python, model)
    found = [
        Check("python", True, f"{told['python']} at {python}"),
        *(_version(name, told["versions"].get(name), hint) for name, hint in NEEDED.items()),
        _gpus(told, gpus, nodes),
        *_checkpoint(config, model, told["processor"]),
        _disk(config, model, out.absolute()),
    ]
    shared = Path("/dev/shm")
    if shared.is_dir():
        free = shutil.disk_usage(shared).free / 1e9
        enough = True if free >= SHARED_GB else None
        hint = "" if enough else "in a container: --shm-size=64g; ray's objects go through it"
        found.append(Check("shared memory", enough, f"{free:.1f} GB free at {shared}", hint))
    return found


def ask(python: str, model: str = "") -> dict[str, Any]:
    """What the interpreter `python` says of itself: `python`, `versions`, `gpus`, `torch` (its fault), `processor`.

    Raises:
        ViubenchError: there is no such interpreter, or it does not answer.
    """
    where, hint = "--verl-python", "name the python of verl's own environment, or set VIUBENCH_VERL_PYTHON"
    if shutil.which(python) is None:
        raise ViubenchError(f"no such interpreter: {python or 'none was named'}", where=where, hint=hint)
    try:
        asked = subprocess.run(
            [python, "-c", PROBE, json.dumps(list(NEEDED)), model],
            capture_output=True, text=True, timeout=ASK_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ViubenchError(f"{python} does not answer: {error}", where=where, hint=hint) from error
    answer = re.search(r"^told (.+)$", asked.stdout, re.M)
    if answer is None:
        last = (asked.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise ViubenchError(f"{python} does not answer: {last}", where=where, hint=hint)
    told: dict[str, Any] = json.loads(answer[1])
    return told


def _version(name: str, version: str | None, hint: str) -> Check:
    if version is None:
        return Check(name, False, "not installed", hint)
    if name == "verl" and not version.startswith(f"{VERL}."):
        return Check(name, False, f"{version}, but this project hands over to {VERL}", hint)
    if name == "viubench" and version != __version__:
        return Check(name, False, f"{version}, but this is {__version__}", "install the same one in both environments")
    return Check(name, True, version)


def _gpus(told: dict[str, Any], gpus: int, nodes: int) -> Check:
    names = told["gpus"]
    detail = f"{len(names)} here ({names[0]})" if names else told["torch"] or "torch sees none"
    if len(names) >= gpus:
        return Check("GPUs", True, detail + (f", {gpus} wanted on each of {nodes} nodes" if nodes > 1 else ""))
    return Check("GPUs", False, f"{detail}; {gpus} are wanted", "train where there are so many, or give --gpus")


def _checkpoint(config: TrainConfig, model: str, processor: str) -> list[Check]:
    """Whether the model is a Qwen3-VL whose frames the export cut to measure, and opens in verl's environment."""
    if not model:
        detail = f"{config.model or 'none'}: no folder here, so its patch size was not looked at"
        return [Check("model", None, detail, "it must be a Qwen3-VL (patch 16)")]
    try:
        described = describe_checkpoint(model)
    except ViubenchError as error:
        return [Check("model", False, error.message, error.hint or "")]
    multiple, kind = described["size_multiple"], described["model_type"]
    fits = multiple == TOKEN and str(kind).startswith("qwen3_vl")
    detail = f"{kind}, frame sides are multiples of {multiple}"
    opens = processor.startswith("Qwen3VLProcessor ")
    return [
        Check("model", fits, detail, "" if fits else "verl is handed frames for Qwen3-VL (patch 16, merged 2 by 2)"),
        Check("processor", opens, processor, "" if opens else "mend verl's environment: its transformers must open it"),
    ]


def _disk(config: TrainConfig, model: str, out: Path) -> Check:
    """Room for the checkpoints that are kept and the finished one, as far as the model's size is known."""
    place = out
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    if not model:
        told = f"{BYTES_PER_PARAMETER} bytes a parameter for each of {config.save.keep_last} checkpoints are wanted"
        return Check("disk", None, f"{free:.0f} GB free at {out}; {told}")
    bytes_here = sum(path.stat().st_size for path in Path(model).glob("*.safetensors"))
    wanted = (bytes_here / 2 * BYTES_PER_PARAMETER * config.save.keep_last + bytes_here) / 1e9  # bfloat16: 2 bytes
    detail = f"{free:.0f} GB free at {out}, about {wanted:.0f} GB wanted"
    return Check("disk", free >= wanted, detail, "" if free >= wanted else "save.keep_last: 1, or another --out")
