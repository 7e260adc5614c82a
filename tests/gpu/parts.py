"""The parts of a measurement, in the order in which they are worth having.

Example:
    >>> [part.name for part in planned("tiny", "cpu", Path("scratch"))][:3]
    ['clips', 'make tiny', 'grpo full tiny, checkpointing']
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGE = {"side": 960, "train": 256, "ask": 512, "frames": 48, "clips": 33, "asked": 8, "steps": 3, "tokens": 64}
TINY = {"side": 96, "train": 64, "ask": 64, "frames": 12, "clips": 5, "asked": 4, "steps": 2, "tokens": 4}
"""Sides of clips and of their frames as shown, in pixels; frames of a question; steps and answer tokens of GRPO."""


@dataclass(frozen=True)
class Part:
    """A function (module, name), called in a process of its own for at most `seconds`, if the parts it `needs` worked."""

    name: str
    function: tuple[str, str]
    settings: dict[str, Any]
    seconds: float
    needs: tuple[str, ...] = ()


def planned(shape: str, device: str, scratch: Path) -> list[Part]:
    """The parts for "large" (models of 2B and 8B) or "tiny" shapes.

    Full weights of 8B are left out: weights, gradients and AdamW's moments in float32 take 16 bytes a parameter, 140 GB.
    """
    size = LARGE if shape == "large" else TINY
    world = {"world": str(scratch / "world"), "frames": size["frames"]}

    def on(model: str) -> dict[str, Any]:
        return {"model": str(scratch / model), "device": device}

    def make(model: str, seconds: int) -> Part:
        settings = {"out": str(scratch / model), "shape": model, "device": device}
        return Part(f"make {model}", ("tests.gpu.material", "checkpoint"), settings, seconds)

    def grpo(model: str, finetuning: str, checkpointing: bool, seconds: int) -> Part:
        how = {"finetuning": finetuning, "checkpointing": checkpointing, "side": size["train"]}
        settings = world | on(model) | how | {name: size[name] for name in ("steps", "tokens")}
        name = f"grpo {finetuning} {model}" + ", checkpointing" * checkpointing
        return Part(name, ("tests.gpu.training", "step"), settings, seconds, ("clips", f"make {model}"))

    def ask(model: str, seconds: int) -> Part:
        settings = world | on(model) | {"side": size["ask"], "clips": size["asked"]}
        return Part(f"hf {model}", ("tests.gpu.asking", "questions"), settings, seconds, ("clips", f"make {model}"))

    clips = {"out": world["world"], "train_side": size["train"], **{k: size[k] for k in ("side", "frames", "clips")}}
    feed = world | {"side": size["ask"], "workers": [n for n in (1, 2, 4, 8, 16) if n <= len(os.sched_getaffinity(0))]}
    common = [
        Part("clips", ("tests.gpu.material", "clips"), clips, 60),
        Part("feed", ("tests.gpu.asking", "feed"), feed, 70, ("clips",)),
    ]
    if shape == "tiny":  # for machines that are busy
        one = [make("tiny", 120), grpo("tiny", "full", True, 120), grpo("tiny", "lora", False, 120), ask("tiny", 120)]
        return [*common, *one]
    small = [make("2b", 60), grpo("2b", "full", True, 110), grpo("2b", "lora", False, 80), ask("2b", 60)]
    return [*common, *small, make("8b", 80), grpo("8b", "lora", True, 140), ask("8b", 80), grpo("8b", "lora", False, 100)]
