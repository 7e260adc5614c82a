"""The protocol of a run: the task's own or the requested one, with the user's and the task's changes.

Example:
    >>> protocol_of(EvalConfig(frames=16, set={"decoding.top_p": 0.8}), Catalogue(), "viubench").protocol
    'viubench+frames=16+top_p=0.8'
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from viubench.engines.base import FrameFormat
from viubench.errors import ViubenchError
from viubench.runner import generation_config, protocol_fields
from viubench.runner.config import EvalConfig
from viubench.schema import Decoding, Protocol, Resize, Task, content_hash
from viubench.tasks.registry import Catalogue

FLAGS = {
    "frames": "sampling.frames",
    "fps": "sampling.fps",
    "max_pixels": "resize.max_pixels",
    "max_tokens": "decoding.max_tokens",
    "temperature": "decoding.temperature",
    "top_p": "decoding.top_p",
    "top_k": "decoding.top_k",
    "samples": "decoding.samples",
    "system": "chat.system",
    "thinking": "chat.thinking",
    "probe": "probe",
}
"""Options that are a field of the protocol each; `set` names any other."""

OWN = "decoding.generation_config"
FOLLOWING = ("sampling.min_frames", "resize.min_pixels", "resize.group")
"""Fields that follow others: a name says only what they follow."""

SHORT = 24
"""Characters of a value that stand in a protocol's name; of a longer one, the beginning of its hash."""


@dataclass(frozen=True)
class Resolved:
    """The protocol of one task, and what a user should know of it, one sentence each."""

    protocol: Protocol
    notes: tuple[str, ...] = ()


def protocol_of(
    config: EvalConfig, catalogue: Catalogue, own: str, frames: FrameFormat | None = None, task: Task | None = None
) -> Protocol:
    """The protocol named `own` or that of `config`; what changes it shows in its name. See `resolve`."""
    return resolve(config, catalogue, own, frames, task).protocol


def resolve(
    config: EvalConfig, catalogue: Catalogue, own: str, frames: FrameFormat | None = None, task: Task | None = None
) -> Resolved:
    """The protocol named `own` or that of `config`, with its changes.

    The `task`'s generation_kwargs change the decoding, unless the protocol names its source: it is run as that says.
    Where the protocol asks for it, the checkpoint's generation_config.json comes next. Then what the user set, and how
    the engine takes its frames (`frames`), when known.

    Raises:
        ViubenchError: an unknown protocol or field, a value that does not fit, or settings that contradict each other.
    """
    requested = config.protocol or own
    base = requested if isinstance(requested, Protocol) else catalogue.protocol(os.fspath(requested))
    if task is not None and not base.source:
        decoding = base.decoding.model_dump() | task.generation_kwargs.decoding()
        base = Protocol.model_validate(base.model_dump() | {"decoding": decoding})
    contradictions(base)
    asked, options = _asked(config)
    notes: list[str] = []
    changes = dict(asked)
    if asked.get(OWN, base.decoding.generation_config):
        read, notes = generation_config.settings(config, asked)
        changes = read | changes | ({OWN: False} if read else {})
        options = dict.fromkeys(read, generation_config.FILE) | options
    protocol = _changed(base, changes, options)
    fitting = _fitting(protocol, asked, frames or FrameFormat(), notes)
    protocol = _changed(protocol, fitting, options)
    named = [*changes, *(path for path in fitting if path not in FOLLOWING)]
    notes += contradictions(protocol)
    return Resolved(protocol.model_copy(update={"protocol": _name(base, protocol, named)}), tuple(notes))


def _asked(config: EvalConfig) -> tuple[dict[str, Any], dict[str, str]]:
    """What the user set, by path, and by which option."""
    asked: dict[str, Any] = {}
    options: dict[str, str] = {}
    for name, path in FLAGS.items():
        if (given := getattr(config, name)) is not None:
            options[path] = f"--{name.replace('_', '-')}"
            asked[path] = protocol_fields.value(path, given, options[path])
    if config.engine_settings.get("transport") == "file":
        asked["media"], options["media"] = "file", "--engine-arg transport=file"
    for path, given in (config.set or {}).items():
        value = protocol_fields.value(path, given)
        if path in asked and asked[path] != value:
            raise ViubenchError(
                f"{path} is set twice", where=f"{options[path]} and --set", hint="leave one of them out"
            )
        asked[path], options[path] = value, "--set"
    return asked, options


def _changed(base: Protocol, changes: Mapping[str, Any], options: Mapping[str, str]) -> Protocol:
    """`base` with fields replaced; a number of frames a second makes even sampling that of `fps`."""
    data: Mapping[str, Any] = base.model_dump()
    if "sampling.fps" in changes and base.sampling.kind == "even":
        changes = {"sampling.kind": "fps", **changes}
    for path, value in changes.items():
        data = protocol_fields.placed(data, path, value)
    return protocol_fields.validated(data, options)


def _fitting(protocol: Protocol, asked: Collection[str], frames: FrameFormat, notes: list[str]) -> dict[str, Any]:
    """What follows from how the model takes its frames, and from maxima below the protocol's minima."""
    sampling, resize = protocol.sampling, protocol.resize
    changes: dict[str, Any] = {"resize.multiple": frames.multiple, "resize.fixed": frames.fixed}
    if resize.tokens or resize.total_pixels:
        changes["resize.group"] = frames.group
    changes = {path: value for path, value in changes.items() if value and path not in asked}
    _require_sides(resize, asked, frames)
    most = sampling.frames
    if frames.most is not None and most > frames.most:
        notes.append(f"the model takes at most {frames.most} frames of a video, not {most}")
        changes["sampling.frames"] = most = frames.most
    if sampling.min_frames > most and "sampling.min_frames" not in asked:
        changes["sampling.min_frames"] = most
    largest = resize.max_pixels
    if frames.pixels is not None and (largest > frames.pixels or (frames.fills and largest != frames.pixels)):
        notes.append(
            f"the model takes frames of {'at most ' * (not frames.fills)}{frames.pixels} pixels, not {largest}"
        )
        changes["resize.max_pixels"] = largest = frames.pixels
    if frames.fills and "resize.kind" not in asked:
        changes["resize.kind"] = "fill"
    if resize.min_pixels > largest and "resize.min_pixels" not in asked:
        changes["resize.min_pixels"] = largest
    return changes


def _require_sides(resize: Resize, asked: Collection[str], frames: FrameFormat) -> None:
    """Raise ViubenchError where frame sides that the user set are not those the model takes."""
    for path, sides in {"resize.multiple": (resize.multiple,), "resize.fixed": resize.fixed or ()}.items():
        if path in asked and frames.multiple and any(side % frames.multiple for side in sides):
            hint = f"give multiples of {frames.multiple}, or leave it out"
            message = f"{path} does not fit: the model takes frames with sides that are multiples of {frames.multiple}"
            raise ViubenchError(message, where="--set", hint=hint)


def contradictions(protocol: Protocol) -> list[str]:
    """What of a protocol has no effect, one sentence each; ViubenchError for settings that cannot hold together."""
    sampling, resize, decoding, chat = protocol.sampling, protocol.resize, protocol.decoding, protocol.chat
    greedy = decoding.temperature == 0 and not decoding.generation_config
    wrong = {
        f"samples is {decoding.samples}: at temperature 0 all answers are one": greedy and decoding.samples > 1,
        f"min_frames {sampling.min_frames} is more than frames {sampling.frames}": sampling.min_frames
        > sampling.frames,
        f"min_pixels {resize.min_pixels} is more than max_pixels {resize.max_pixels}": (
            resize.min_pixels > resize.max_pixels
        ),
        f"reasoning_budget {chat.reasoning_budget} leaves no answer of max_tokens {decoding.max_tokens}": (
            (chat.reasoning_budget or 0) >= decoding.max_tokens
        ),
        "sampling.kind indices and times are of single questions": sampling.kind in ("indices", "times"),
    }
    for message, holds in wrong.items():
        if holds:
            raise ViubenchError(message, where=protocol.protocol, hint="change one of the two")
    names = ("top_p", "top_k", "min_p")
    idle = [name for name in names if getattr(decoding, name) != getattr(Decoding(), name)] if greedy else []
    notes = [f"{', '.join(idle)}: no effect at temperature 0, which is greedy"] if idle else []
    budget = min(filter(None, (resize.total_pixels, (resize.tokens or 0) * resize.multiple**2)), default=None)
    if budget is not None and (held := int(budget * resize.group / resize.min_pixels)) < sampling.frames:
        notes.append(
            f"videos of more than {held} frames exceed the budget of {budget} pixels: a frame has at least "
            f"{resize.min_pixels} (resize.min_pixels)"
        )
    return notes


def _name(base: Protocol, protocol: Protocol, paths: Iterable[str]) -> str:
    """The base's name and what differs from it."""
    names = [base.protocol]
    for path in dict.fromkeys(paths):
        value = protocol_fields.found(protocol, path)
        read = path == OWN and not value  # the settings that were read stand in its place
        if value != protocol_fields.found(base, path) and not read:
            names.append(f"{path.rsplit('.', 1)[-1]}={_short(value)}")
    return "+".join(names)


def _short(value: Any) -> str:
    """A value as it stands in a protocol's name."""
    plain = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, float):
        plain = f"{value:g}"
    fits = len(plain) <= SHORT and plain.isprintable() and not set(plain) & set("+ ")
    return plain if fits else content_hash(value)[:8]
