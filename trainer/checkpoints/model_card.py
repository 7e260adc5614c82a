"""The manifest of a training run, and the model card of its checkpoints; neither depends on the time.

Example:
    manifest = build_manifest(config, questions, policy, ["viubench", "train", "--config", "tiny-cpu"])
    render_card(manifest, {"step": 39, "validation/order/reward": 0.8, "floor/order": 0.39})  # README.md
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.checkpoints.metrics_log import validation_scores
from trainer.config import TrainConfig
from trainer.dataset import Questions, of_task
from trainer.model.policy import Policy
from viubench.engines.checkpoints import describe_checkpoint
from viubench.runner import planning
from viubench.schema import Sample, content_hash
from viubench.scoring.aggregate import items_hash

PACKAGES = (*planning.PACKAGES, "peft", "safetensors")  # packages whose version can move a weight or a score


def build_manifest(config: TrainConfig, questions: Questions, policy: Policy, argv: Sequence[str]) -> dict[str, Any]:
    """The manifest of a run, as JSON: `run` (16 hex digits over what decides its weights), `base` (the checkpoint it
    starts from, with its fingerprint), `items` and `tasks` with their hashes, `config`, versions and machine."""
    base = describe_checkpoint(str(policy.path))
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "device": str(policy.base.device)}
    tasks = questions.tasks.items()
    return {
        "schema": 1,
        "run": content_hash([config.hash(), questions.hash(), base["fingerprint"]]),
        "argv": list(argv),
        "seed": config.seed,
        "model": config.model,
        "base": {key: base[key] for key in ("name", "path", "architecture", "fingerprint", "revision") if key in base},
        "items": {"training": _items(questions.train.samples), "validation": _items(questions.held_out.samples)},
        "tasks": {name: {"hash": task.hash(), "version": task.metadata.version} for name, task in tasks},
        "config": config.model_dump(mode="json"),
        "packages": planning.versions(PACKAGES),
        "hardware": machine | {"python": platform.python_version()},
    }


def _items(samples: Sequence[Sample]) -> dict[str, Any]:
    """Task -> how many items and the hash of their ids and targets."""
    found = {}
    for task in dict.fromkeys(sample.task for sample in samples):
        group = [(sample.id, sample.target_hash()) for sample in of_task(task, samples)]
        found[task] = {"n": len(group), "items_hash": items_hash(group)}
    return found


def render_card(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """README.md of a checkpoint, a Hugging Face model card, from the run's manifest and its last step's metrics."""
    config, base = manifest["config"], manifest["base"]
    lines = ["---", "library_name: transformers", "pipeline_tag: video-text-to-text", "tags: [viubench]"]
    # Only a model of the hub can be named there.
    lines += [f"base_model: {manifest['model']}"] if "revision" in base else []
    lines += ["---", f"# {config['run_name']}, step {metrics['step'] + 1}", ""]
    lines += [f"{base['name']}, trained by `viubench train` on questions about videos whose answers are known.", ""]
    lines += [config["description"], ""] if config["description"] else []
    if scores := validation_scores(metrics):
        exact = validation_scores(metrics, "strict")
        lines += ["Greedy answers to validation items, and the best constant answer:", ""]
        lines += ["| task | score | exact match | best constant |", "|---|---|---|---|"]
        lines += [f"| {t} | {scores[t]:.3f} | {exact[t]:.3f} | {metrics[f'floor/{t}']:.3f} |" for t in scores]
        lines += [""]
    lines += ["Evaluate it: `viubench run --model FOLDER --tasks TASKS --out RUN`.", "", "## The last step", ""]
    shown = {key: value for key, value in metrics.items() if not key.startswith(("step", "seconds", "profiling/"))}
    lines += [f"- {key}: {f'{one:.4g}' if isinstance(one, float) else one}" for key, one in shown.items()]
    # The card is published with the model: no path of this machine belongs in it.
    public = dict(manifest) | {"base": {key: value for key, value in base.items() if key != "path"}}
    text = json.dumps(public, indent=1, ensure_ascii=False)
    return "\n".join([*lines, "", "## Manifest", "", "```json", text, "```", ""])
