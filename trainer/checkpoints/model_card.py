"""What a training run was, to the last version: the manifest, and the model card of its checkpoints that holds it.

Example:
    manifest = describe(config, questions, policy, ["viubench", "train", "--config", "tiny-cpu"])
    card(manifest, {"step": 39, "validation/order/reward": 0.8, "floor/order": 0.39})  # README.md of checkpoint 40

Nothing in it depends on the hour: a run that was stopped and one that was not write the same card.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.checkpoints.metrics_log import looked
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model.policy import Policy
from viubench.engines.checkpoints import describe_checkpoint
from viubench.runner import planning
from viubench.schema import Sample, content_hash
from viubench.scoring.aggregate import items_hash

PACKAGES = (*planning.PACKAGES, "peft", "safetensors", "tokenizers")
"""Packages whose version can move a weight or a score."""


def describe(config: TrainConfig, questions: Questions, policy: Policy, argv: Sequence[str]) -> dict[str, Any]:
    """The manifest of a run, as JSON: `run` (16 hex digits over all that decides its weights), `base` (the checkpoint
    it starts from, with its fingerprint), `items` and `tasks` with their hashes, `config`, versions and machine."""
    base = describe_checkpoint(str(policy.path))
    return {
        "schema": 1,
        "run": content_hash([config.hash(), questions.hash(), base["fingerprint"]]),
        "argv": list(argv),
        "seed": config.seed,
        "model": config.model,
        "base": {key: base[key] for key in ("name", "path", "architecture", "fingerprint", "revision") if key in base},
        "items": {
            "training": _items(questions.train.samples),
            "validation": _items(questions.held_out.samples),
        },
        "tasks": {
            name: {"hash": task.hash(), "version": task.metadata.version} for name, task in questions.tasks.items()
        },
        "config": config.model_dump(mode="json"),
        "packages": planning.versions(PACKAGES),
        "hardware": {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "device": str(policy.base.device),
            "python": platform.python_version(),
        },
    }


def _items(samples: Sequence[Sample]) -> dict[str, Any]:
    """Task -> how many items and the hash of their ids and targets."""
    tasks: dict[str, list[Sample]] = {}
    for sample in samples:
        tasks.setdefault(sample.task, []).append(sample)
    return {
        task: {"n": len(found), "items_hash": items_hash((sample.id, sample.target_hash()) for sample in found)}
        for task, found in tasks.items()
    }


def card(manifest: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """README.md of a checkpoint in the form of a Hugging Face model card.

    Args:
        manifest: of the run, see `describe`.
        told: the log line of the checkpoint's last step.
    """
    config, base = manifest["config"], manifest["base"]
    head = ["library_name: transformers", "pipeline_tag: video-text-to-text", "tags: [viubench]"]
    if "revision" in base:  # only a model of the hub can be named there
        head.append(f"base_model: {manifest['model']}")
    lines = ["---", *head, "---", f"# {config['train']}, step {told['step'] + 1}", ""]
    lines += [f"{base['name']}, trained by `viubench train` on questions about videos whose answers are known.", ""]
    lines += [config["description"], ""] if config["description"] else []
    if scores := looked(told):
        exact = looked(told, "strict")
        lines += ["Greedy answers to validation items, and the best answer that never looks:", ""]
        lines += ["| task | score | fully right | best constant |", "|---|---|---|---|"]
        lines += [f"| {t} | {scores[t]:.3f} | {exact[t]:.3f} | {told[f'floor/{t}']:.3f} |" for t in scores]
        lines += [""]
    lines += ["Evaluate it: `viubench run --model FOLDER --tasks TASKS --out RUN`.", "", "## The last step", ""]
    silent = ("step", "seconds", "seconds/")
    for key, value in told.items():
        if not key.startswith(silent):
            lines.append(f"- {key}: {value:.4g}" if isinstance(value, float) else f"- {key}: {value}")
    # A card travels with the model: where its base lay on this machine is nobody's business.
    public = dict(manifest) | {"base": {key: value for key, value in base.items() if key != "path"}}
    text = json.dumps(public, indent=1, ensure_ascii=False)
    return "\n".join([*lines, "", "## Manifest", "", "```json", text, "```", ""])
