"""Engines answer requests: vLLM, transformers or a server, the baselines, and those of plugins.

Example: an engine of a plugin is a class and one line of packaging metadata; `--engine mine` then opens it.

    class MyEngine(viubench.Engine):
        kind = "mine"
        @classmethod
        def from_options(cls, options): return cls(options.model, options.args)
        async def generate(self, request): return viubench.Response(text=...)

    [project.entry-points."viubench.engines"]
    mine = "my_package:MyEngine"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

from viubench.engines.base import CheckpointEngine, Engine, EngineOptions
from viubench.errors import ViubenchError, did_you_mean

GROUP = "viubench.engines"


def names() -> list[str]:
    """Every installed engine."""
    return sorted(point.name for point in entry_points(group=GROUP))


def load(kind: str) -> type[Engine]:
    """The class of an engine; raises ViubenchError for one that is unknown, or that cannot be imported."""
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in installed:
        hint = did_you_mean(kind, sorted(installed), f"known: {', '.join(sorted(installed))}")
        raise ViubenchError(f"no such engine: {kind}", where="--engine", hint=hint)
    try:
        engine_class: type[Engine] = installed[kind].load()
    except ImportError as error:
        raise ViubenchError(f"the {kind} engine cannot be imported: {error}", where="--engine") from None
    return engine_class


def make(
    kind: str,
    *,
    model: str | None = None,
    base_urls: Sequence[str] = (),
    args: Mapping[str, str] | None = None,
    deterministic: bool = False,
    base_model: str | None = None,
    seed: int = 0,
) -> Engine:
    """An engine that is not started yet.

    Args:
        kind: name of an installed engine; for the others see `EngineOptions`.

    Raises:
        ViubenchError: unknown kind, missing model or URL, unknown or ill-typed argument, incomplete checkpoint, or an
            engine that cannot be deterministic where that is asked.
    """
    engine_class = load(kind)
    if base_urls and kind != "server":
        raise ViubenchError(f"--base-url is for --engine server, not {kind}", where="--base-url")
    if base_model is not None and not issubclass(engine_class, CheckpointEngine):
        raise ViubenchError(f"--base-model is for a checkpoint, not for --engine {kind}", where="--base-model")
    return engine_class.from_options(EngineOptions(model, base_urls, args or {}, deterministic, base_model, seed))
