"""Replicas as Ray actors, on any number of machines.

Example:
    with RayActors(spec, replicas=8, gpus_each=1, address="10.0.0.1:6379") as transport:
        await Replicas(engine, transport, warn=print).answer_all(attempts, finished, opened)

Ray places the actors on machines with GPUs and says when one is gone; `Replicas` decides which sample goes where.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from viubench.errors import ViubenchError
from viubench.runner.parallel.coordinator import GRACE, Died, Replica, Transport
from viubench.runner.parallel.ray_cluster import cluster, import_ray, last_line
from viubench.runner.parallel.worker import Opened, ReplicaSpec, Worker
from viubench.runner.plan import Attempt
from viubench.schema import Record


class RayActors(Transport):
    """So many actors, each around one engine: `gpus_each` GPUs where the cluster has any, `num_cpus` cores; for the
    address see `cluster`."""

    name: ClassVar[str] = "ray"

    def __init__(
        self, spec: ReplicaSpec, replicas: int, gpus_each: int = 1, address: str | None = None, num_cpus: float = 1.0
    ) -> None:
        self.replicas = replicas
        self.spec = spec.travelling()
        self.address = address
        self.takes = {"num_cpus": num_cpus, "num_gpus": float(gpus_each)}
        self._left = contextlib.ExitStack()

    def __enter__(self) -> RayActors:
        with contextlib.ExitStack() as stack:
            stack.enter_context(cluster(self.address, cores=self.replicas * self.takes["num_cpus"]))
            has = import_ray().cluster_resources()
            if not has.get("GPU"):
                self.takes["num_gpus"] = 0.0
            for name, each in (("GPU", self.takes["num_gpus"]), ("CPU", self.takes["num_cpus"])):
                if (requested := self.replicas * each) > (there := has.get(name, 0.0)):
                    raise ViubenchError(
                        f"{self.replicas} replicas take {requested:g} {name}s, the Ray cluster has {there:g}",
                        where="--replicas",
                        hint="fewer replicas, a smaller tensor_parallel_size, or more machines in the cluster",
                    )
            machines = sum(node["Alive"] for node in import_ray().nodes())
            self.spec = replace(self.spec, beside=-(-self.replicas // max(machines, 1)))
            self._left = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.close()

    def replica(self, number: int) -> Replica:
        return RayReplica(self.spec, self.takes)


class RayReplica(Replica):
    """One actor. Ray starts none again by itself: `Replicas` does, and knows what was under way."""

    def __init__(self, spec: ReplicaSpec, takes: dict[str, float]) -> None:
        self.spec, self.takes = spec, takes
        self._actor: Any = None

    async def open(self, soon: Sequence[Attempt]) -> Opened:
        actor = import_ray().remote(Worker)
        # Calls wait in the engine's own queue, not before the actor.
        options = {"max_restarts": 0, "max_task_retries": 0, "max_concurrency": 10_000}
        self._actor = actor.options(**options, **self.takes).remote(self.spec)
        opened: Opened = await self._result(self._actor.open.remote(soon))
        return opened

    async def answer(self, attempt: Attempt) -> Record:
        record: Record = await self._result(self._actor.answer.remote(attempt))
        return record

    async def close(self) -> None:
        if self._actor is None:
            return
        ray = import_ray()
        try:
            with contextlib.suppress(TimeoutError, Died):
                await asyncio.wait_for(self._result(self._actor.close.remote()), GRACE)
        finally:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.kill(self._actor)

    async def _result(self, reference: Any) -> Any:
        """What a call gave; what it raised, as it was raised there; Died when the actor or its machine is gone."""
        errors = import_ray().exceptions
        try:
            return await reference
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError as error:
            raise Died(last_line(error)) from error
