"""The prompts kept in `golden/prompts`: what every task asks, and how every family of models is shown it.

Example, after a change that is meant to change them:
    python tests/unit/golden_prompts.py  # git diff then shows which, and how
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from block_videos import moving
from example_rows import CATALOGUE, samples_of

from viubench.engines import processors, tiny_checkpoints
from viubench.engines.families import FAMILIES, Family
from viubench.engines.prompts import render
from viubench.engines.tiny_checkpoints import families, tokenizers
from viubench.pretext.generate import Drawn, apply, draw, fill
from viubench.schema import Task, content_hash

GOLDEN = Path(__file__).parent / "golden" / "prompts"
QUESTION = "<video>\nWhich comes first?\n(A) red\n(B) blue"
ITEMS = 3
"""Items of a pretext task: drawn from one video in memory, so that no decoder has a say."""


def tasks() -> dict[str, Any]:
    """Of every task of the catalogue, in order: how many example questions, the first one, and a hash over all."""
    return {name: of_task(CATALOGUE.task(name)) for name in sorted(CATALOGUE.task_files)}


def of_task(task: Task) -> dict[str, Any]:
    """The same for one task."""
    if task.pretext is None:
        samples = samples_of(task.task)
        asked = [[one.id, one.question, *one.options, one.answer_text] for one in samples]
        return {"questions": len(asked), "first": samples[0].question, "hash": content_hash(asked)}
    items = [_item(task, seed) for seed in range(ITEMS)]
    return {"questions": ITEMS, "first": items[0][0], "hash": content_hash(items)}


def _item(task: Task, seed: int) -> list[str]:
    """Question, answer and frames of the first item that can be drawn from this seed on."""
    assert task.pretext is not None
    videos = [moving(height=192, width=256), moving(height=192, width=256, seed=9)]
    for number in range(1000 * seed, 1000 * (seed + 1)):
        drawn = draw(task.pretext, number, videos)
        if isinstance(drawn, Drawn):
            shown = apply(drawn.params, number, videos)
            return [fill(task.question, drawn.question_fields), drawn.answer, *(video.pixel_hash() for video in shown)]
    raise LookupError(f"no item of {task.task}")


def families_shown() -> dict[str, dict[str, str]]:
    """The prompt of one question on a video of four frames, in transformers and in vLLM, by family."""
    return {name: of_family(name) for name in sorted(tiny_checkpoints.names())}


def of_family(name: str) -> dict[str, str]:
    """The same for one family, from its tiny checkpoint; no weights are made."""
    parts = families.find(name)
    processor = tiny_checkpoints._processor(parts, tokenizers.build(parts, ()))
    prompts = {}
    for kind in ("hf", "vllm"):
        showing = processors.showing(processor, FAMILIES.get(name, Family()), name in FAMILIES, kind)
        prompts[kind] = render(processor, QUESTION, 1, inserts=showing.parts([moving(frames=4)]))
    return prompts


def text(prompts: dict[str, Any]) -> str:
    return json.dumps(prompts, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "tasks.json").write_text(text(tasks()), encoding="utf-8")
    (GOLDEN / "families.json").write_text(text(families_shown()), encoding="utf-8")
