"""A checkpoint's own sampling settings: what its generation_config.json says, as fields of a protocol.

Example:
    settings(EvalConfig("Qwen3-VL-8B", engine="hf", protocol="generation-config"), {})
    # ({'decoding.temperature': 0.7, 'decoding.top_p': 0.8, 'decoding.top_k': 20}, [])
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from viubench.engines import base_models
from viubench.errors import ViubenchError
from viubench.runner.config import EvalConfig

FILE = "generation_config.json"
FIELDS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def settings(config: EvalConfig, asked: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """The settings of the run's checkpoint by path, and what a user should know.

    Nothing for a server: it applies its own, and what was `asked` besides could not hold. `do_sample: false` is
    temperature 0; a temperature counts where `do_sample` is not there, as in vLLM.

    Raises:
        ViubenchError: the file does not read, or a sampling field was asked of a server that applies its own.
    """
    kind = "" if config.engine_object is not None else config.engine_name.removeprefix("ray:")
    if kind == "server" and (both := [path for path in asked if path.removeprefix("decoding.") in FIELDS]):
        message = f"{both[0]} is set, but the server's own generation_config is to hold"
        raise ViubenchError(
            message, where="--protocol", hint="name another protocol, or leave the setting to the server"
        )
    if kind not in ("vllm", "hf") or config.model_name is None:
        return {}, []
    base = None if config.base_model is None else os.fspath(config.base_model)
    path = Path(base_models.describe(config.model_name, base)["path"], FILE)
    if not path.is_file():
        return {"decoding.temperature": 0.0}, [f"{config.model_name} has no {FILE}: answers are greedy (temperature 0)"]
    try:
        given = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise ViubenchError(f"{FILE} does not read: {error}", where=str(path), hint="copy the file again") from None
    values = {f"decoding.{name}": given[name] for name in FIELDS if given.get(name) is not None}
    if given.get("do_sample") is False or not values:
        values["decoding.temperature"] = 0.0
    values.setdefault("decoding.temperature", 1.0)
    return values, []
