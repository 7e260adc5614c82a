"""Ways to answer questions: `make` opens a model by vLLM, transformers or a server; the baselines need none.

Example:
    >>> engine = make("vllm", model="tiny-qwen3-vl", base_urls=[], args={"max_model_len": "16384"})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from viubench.engines.base import Engine
from viubench.errors import ViubenchError

MODEL_KINDS = ("vllm", "hf", "server")
BASELINES = ("random", "blind", "oracle")
"""Engines that never look; they are made from a plan, not by `make` (see `viubench.engines.baselines`)."""


def make(
    kind: str,
    *,
    model: str | None,
    base_urls: Sequence[str],
    args: Mapping[str, str],
    deterministic: bool = False,
) -> Engine:
    """An engine that is not started yet.

    Args:
        kind: one of `MODEL_KINDS`.
        model: checkpoint folder or hub id; for `server` the served name, None for the only one it serves.
        base_urls: endpoints of `server`, for example http://127.0.0.1:8000/v1.
        args: `--engine-arg` pairs.
        deterministic: an answer is to depend on its request alone, not on what else is asked.

    Raises:
        ViubenchError: unknown kind, missing model or URL, unknown or ill-typed argument, incomplete checkpoint, or a
            server that is to be deterministic.
    """
    if kind not in MODEL_KINDS:
        known = (*MODEL_KINDS, *BASELINES)
        close = get_close_matches(kind, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        raise ViubenchError(f"no such engine: {kind}", where="--engine", hint=hint)
    if kind == "server":
        if not base_urls:
            raise ViubenchError("the server engine needs an endpoint", hint="--base-url http://127.0.0.1:8000/v1")
        if deterministic:
            raise ViubenchError(
                "what a server computes together cannot be told from here, so nothing can be promised",
                where="--deterministic",
                hint="use --engine vllm or hf; a vLLM server can be started with VLLM_BATCH_INVARIANT=1",
            )
        from viubench.engines.server import ServerEngine

        return ServerEngine(model, base_urls, args)
    if base_urls:
        raise ViubenchError(f"--base-url is for --engine server, not {kind}", where="--base-url")
    if model is None:
        raise ViubenchError(
            f"the {kind} engine needs a model", hint="--model FOLDER (viubench tiny --out FOLDER makes one)"
        )
    if kind == "vllm":
        from viubench.engines.vllm import VllmEngine

        return VllmEngine(model, args, deterministic=deterministic)
    from viubench.engines.hf import HfEngine

    return HfEngine(model, args, deterministic=deterministic)
