"""The `viubench run` that does what a configuration says, so that a run from Python can be repeated as well.

Example:
    >>> typed(EvalConfig("my_model", ["viubench-mini"], frames=16, out="runs/a"))
    ['viubench', 'run', '--model', 'my_model', '--tasks', 'viubench-mini', '--frames', '16', '--out', 'runs/a']
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from viubench.engines.base import Engine
from viubench.runner.config import EvalConfig, is_table
from viubench.schema import Protocol, Task

NAMES = {"engine_args": "engine_arg"}
FLAGS = {"resume": "fresh", "deterministic": "deterministic", "debug": "debug"}
NOT_TYPED = ("progress", "argv")


def typed(config: EvalConfig) -> list[str]:
    """The words of the command; none where the configuration has an object in it, which no command can name."""
    words = ["viubench", "run"]
    for field in fields(config):
        value = getattr(config, field.name)
        if is_table(value):  # whose comparison is no truth value
            return []
        if field.name in NOT_TYPED or value is None or value == field.default:
            continue
        option = f"--{NAMES.get(field.name, FLAGS.get(field.name, field.name))}".replace("_", "-")
        if field.name in FLAGS:
            words.append(option)
            continue
        several = config.names if field.name == "tasks" else _each(value)
        if any(isinstance(one, Engine | Protocol | Task) or is_table(one) for one in several):
            return []
        texts = [_text(one) for one in several]
        for text in [",".join(texts)] if field.name == "tasks" else texts:
            words += [option, text]
    return words


def _each(value: Any) -> list[Any]:
    """The values of an option, several where it may be repeated."""
    if isinstance(value, Mapping):
        return [f"{key}={_text(one)}" for key, one in value.items()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _text(value: Any) -> str:
    return os.fspath(value) if isinstance(value, str | os.PathLike) else json.dumps(value)
