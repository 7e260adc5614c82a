"""The parts of a measurement, in the order in which they are worth having.

Example:
    >>> [part.name for part in planned("tiny", "cpu", Path("scratch"))][:3]
    ['clips', 'make tiny', 'grpo full tiny, checkpointing']
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

LARGE = {"side": 960, "train_side": 256, "ask": 512, "frames": 48, "clips": 33, "asked": 8}
TINY = {"side": 96, "train_side": 128, "ask": 64, "frames": 12, "clips": 5, "asked": 4}
"""Sides of clips and of frames as they are shown, in pixels; frames of a question; clips, and those asked about."""

TRAINING = {
    "large": {"protocol": "viubench-256", "steps": 3, "tokens": 64},
    "tiny": {"protocol": "viubench-128", "steps": 2, "tokens": 4},
}
"""How frames are shown, optimizer steps, and tokens of an answer in GRPO."""


@dataclass(frozen=True)
class Part:
    """A function (module, name), called in a process of its own for at most `seconds`, if the parts it `needs` ran."""

    name: str
    function: tuple[str, str]
    settings: dict[str, Any]
    seconds: float
    needs: tuple[str, ...] = ()


def planned(shape: str, device: str, scratch: Path) -> list[Part]:
    """The parts for "large" (models of 2B and 8B) or "tiny" shapes.

    Full weights of 8B are left out: with gradients and AdamW's moments, float32 takes 16 bytes a parameter, 140 GB.
    """
    size, world = LARGE if shape == "large" else TINY, str(scratch / "world")
    shown = {"world": world, "frames": size["frames"], "side": size["ask"]}

    def make(model: str, seconds: int) -> Part:
        settings = {"out": str(scratch / model), "shape": model, "device": device}
        return Part(f"make {model}", ("tests.gpu.material", "checkpoint"), settings, seconds)

    def on(model: str, name: str, function: tuple[str, str], settings: dict[str, Any], seconds: int) -> Part:
        settings = {"model": str(scratch / model), "world": world, "device": device, **settings}
        return Part(name, function, settings, seconds, ("clips", f"make {model}"))

    def grpo(model: str, finetuning: str, checkpointing: bool, seconds: int) -> Part:
        settings = TRAINING[shape] | {"finetuning": finetuning, "checkpointing": checkpointing}
        name = f"grpo {finetuning} {model}" + ", checkpointing" * checkpointing
        return on(model, name, ("tests.gpu.training", "step"), settings, seconds)

    def ask(model: str, seconds: int) -> Part:
        settings = shown | {"clips": size["asked"]}
        return on(model, f"hf {model}", ("tests.gpu.asking", "questions"), settings, seconds)

    clips = {"out": world} | {name: size[name] for name in ("side", "train_side", "frames", "clips")}
    workers = [n for n in (1, 2, 4, 8, 16) if n <= len(os.sched_getaffinity(0))]
    feed = Part("feed", ("tests.gpu.asking", "feed"), shown | {"workers": workers}, 70, ("clips",))
    common = [Part("clips", ("tests.gpu.material", "clips"), clips, 60), feed]
    if shape == "tiny":
        one = [make("tiny", 0), grpo("tiny", "full", True, 0), grpo("tiny", "lora", False, 0), ask("tiny", 0)]
        return [replace(part, seconds=600) for part in (*common, *one)]  # its machine may be busy with other things
    small = [make("2b", 60), grpo("2b", "full", True, 110), grpo("2b", "lora", False, 80), ask("2b", 60)]
    large = [make("8b", 80), grpo("8b", "lora", True, 140), ask("8b", 80), grpo("8b", "lora", False, 100)]
    return [*common, *small, *large]
