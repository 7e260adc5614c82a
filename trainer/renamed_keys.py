"""Configuration keys that have new names, those of TRL and verl: the old ones are read for one release, with a note.

Example:
    >>> rename({"lr": 1e-6, "save": {"every": 50}})  # prints a note on standard error
    {'learning_rate': 1e-06, 'save_steps': 50}
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

RENAMED = {
    "train": "run_name",
    "steps": "max_steps",
    "groups": "train_batch_size",
    "rollouts": "num_generations",
    "micro_batch": "micro_batch_size",
    "max_tokens": "max_completion_length",
    "lr": "learning_rate",
    "warm_up": "warmup_steps",
    "final_lr": "min_lr_ratio",
    "clip": "epsilon",
    "kl": "beta",
    "normalise": "scale_rewards",
    "vision": "freeze_vision_tower",
    "update": "finetuning",
    "finetuning.kind": "finetuning.type",
    "finetuning.split": "finetuning.fsdp",
    "finetuning.rank": "finetuning.lora_r",
    "finetuning.alpha": "finetuning.lora_alpha",
    "finetuning.targets": "finetuning.lora_target_modules",
    "warm_start.steps": "warm_start.max_steps",
    "warm_start.lr": "warm_start.learning_rate",
    "warm_start.warm_up": "warm_start.warmup_steps",
    "warm_start.batch": "warm_start.train_batch_size",
    "warm_start.look_every": "warm_start.eval_steps",
    "warm_start.marks": "warm_start.thresholds",
    "save.every": "save_steps",
    "save.keep_last": "save_total_limit",
    "save.keep_best": "save_best",
    "evaluate.every": "eval_steps",
    "evaluate.n": "eval_limit",
    "evaluate.harness": "harness_eval",
    "harness_eval.every": "harness_eval.eval_steps",
    "guards": "checks",
    "checks.alarm": "checks.on_collapse",
    "checks.max_gap": "checks.max_logprob_gap",
}
"""Old key -> new key, in the order in which they are moved: a section first, then what is in it."""

VALUES: dict[str, dict[Any, Any]] = {
    "scale_rewards": {"std": "group", "mean": "none"},
    "freeze_vision_tower": {"frozen": True, "trained": False},
}
"""New key -> old value -> new value."""


def rename(data: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration `data` under the new names; ValueError where it has a key under both."""
    renamed = deepcopy(dict(data))
    moved = [f"{old} is now {new}" for old, new in RENAMED.items() if _move(renamed, old, new, VALUES.get(new, {}))]
    if moved:
        print(f"note: in the training configuration {', '.join(moved)} (old names are read once more)", file=sys.stderr)
    return renamed


def old_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration `data` under the old names: its hash is that of runs which were started with them."""
    renamed = deepcopy(dict(data))
    for old, new in reversed(RENAMED.items()):
        _move(renamed, new, old, {value: key for key, value in VALUES.get(new, {}).items()})
    return renamed


def _move(data: dict[str, Any], source: str, target: str, values: Mapping[Any, Any]) -> bool:
    """Move one dotted key, with its value translated; whether it was there."""
    section, _, key = source.rpartition(".")
    holder = data.get(section) if section else data
    if not isinstance(holder, dict) or key not in holder:
        return False
    value = holder.pop(key)
    if section and not holder:
        del data[section]
    section, _, key = target.rpartition(".")
    holder = data.setdefault(section, {}) if section else data
    if key in holder:
        raise ValueError(f"{source} is the old name of {target}: give one of them")
    holder[key] = values.get(value, value) if isinstance(value, str | bool) else value
    return True
