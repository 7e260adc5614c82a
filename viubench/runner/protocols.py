"""The protocol of a run: the task's own or the requested one, with the user's and the task's changes.

Example:
    >>> protocol_of(EvalConfig(frames=16), Catalogue(), "viubench").protocol
    'viubench+frames=16'
"""

from __future__ import annotations

import os

from viubench.engines.base import FrameFormat
from viubench.runner.config import EvalConfig
from viubench.schema import Protocol, Task
from viubench.tasks.registry import Catalogue


def protocol_of(
    config: EvalConfig, catalogue: Catalogue, own: str, frames: FrameFormat | None = None, task: Task | None = None
) -> Protocol:
    """The protocol named `own` or that of `config`; what changes it shows in its name. `frames` is how the engine
    takes them, when known; the `task`'s generation_kwargs change the decoding."""
    requested = config.protocol or own
    base = requested if isinstance(requested, Protocol) else catalogue.protocol(os.fspath(requested))
    frames = frames or FrameFormat()
    changes = {
        "frames": config.frames,
        "fps": config.fps,
        "max_pixels": config.max_pixels,
        "multiple": frames.multiple if frames.multiple != base.resize.multiple else None,
    }
    name = "+".join([base.protocol, *(f"{key}={value}" for key, value in changes.items() if value)])
    sampling = base.sampling.model_dump() | {k: changes[k] for k in ("frames", "fps") if changes[k]}
    if config.fps:
        sampling["kind"] = "fps"
    resize = base.resize.model_dump() | {k: changes[k] for k in ("max_pixels", "multiple") if changes[k]}
    resize |= {"fixed": frames.fixed, "group": frames.group}
    resize["min_pixels"] = min(resize["min_pixels"], resize["max_pixels"])
    decoding = base.decoding.model_dump()
    if task is not None:
        own_decoding = {
            "max_tokens": task.generation_kwargs.max_new_tokens,
            "temperature": task.generation_kwargs.temperature,
        }
        decoding |= {key: value for key, value in own_decoding.items() if value is not None}
    data = {"protocol": name, "sampling": sampling, "resize": resize, "decoding": decoding}
    return Protocol.model_validate(base.model_dump() | data)
