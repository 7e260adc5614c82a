"""How many engines a run has and where they are: what `--engine` and `--replicas` ask for, read and checked.

Example:
    >>> layout = Layout.read("ray:vllm", 2, {"address": "auto", "dtype": "float32"})
    >>> layout.kind, layout.engine_args
    ('vllm', {'dtype': 'float32'})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from viubench.engines import engine_args as arguments
from viubench.errors import ViubenchError
from viubench.runner.parallel.coordinator import Transport
from viubench.runner.parallel.devices import gpus_each
from viubench.runner.parallel.worker import ReplicaSpec

SPREAD = ("vllm", "hf")
"""Engines that may run in replicas."""

RAY = "ray:"
RAY_ARGUMENTS: dict[str, type] = {"address": str, "num_cpus": float}
"""`--engine-arg`s that are Ray's and not the engine's."""


@dataclass(frozen=True)
class Layout:
    """Engines of one kind: in this process where `replicas` is None, else in so many processes here or below Ray."""

    kind: str
    engine_args: Mapping[str, str] = field(default_factory=dict)
    replicas: int | None = None
    ray: bool = False
    ray_args: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, engine: str, replicas: int | None, args: Mapping[str, str]) -> Layout:
        """From `--engine`, `--replicas` and the `--engine-arg`s; ViubenchError for an engine that has no replicas, or a
        number that is none."""
        ray, kind = engine.startswith(RAY), engine.removeprefix(RAY)
        if ray and kind not in SPREAD:
            raise ViubenchError(
                f"{engine} is no engine", where="--engine", hint=" or ".join(RAY + one for one in SPREAD)
            )
        if (replicas or 1) > 1 and kind not in SPREAD:
            hint = "give --base-url several times" if kind == "server" else f"replicas are for {' and '.join(SPREAD)}"
            raise ViubenchError(f"the {kind} engine has no replicas", where="--replicas", hint=hint)
        theirs = {name: value for name, value in args.items() if ray and name in RAY_ARGUMENTS}
        own = {name: value for name, value in args.items() if name not in theirs}
        arguments.typed(theirs, RAY_ARGUMENTS, engine)
        if ray:
            return cls(kind, own, replicas or 1, True, theirs)
        return cls(kind, own, replicas if (replicas or 1) > 1 else None)

    def transport(self, spec: ReplicaSpec) -> Transport:
        """Where the replicas live; raises ViubenchError when there are too few GPUs for them."""
        count, each = self.replicas or 1, gpus_each(self.engine_args)
        if self.ray:
            from viubench.runner.parallel.ray_actors import RayActors

            return RayActors(spec, count, each, **arguments.typed(self.ray_args, RAY_ARGUMENTS, "ray"))
        from viubench.runner.parallel.process import Processes

        return Processes(spec, count, each)
