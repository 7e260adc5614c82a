"""Jobs of a build over the machines of a Ray cluster, in the shape of `KillablePool`.

Example:
    with cluster("10.0.0.1:6379"), RayPool(limit_s=300) as pool:
        keys = pool.submit(cache.ensure_all, [(clip, sampling)], root, resize, name=clip.path).result()

Ray chooses a free core and retries elsewhere when a machine is lost. On each core a `KillablePool` of one process does
the job, so that a decoder that hangs or crashes is the same MediaError as on one machine.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from viubench.errors import ViubenchError
from viubench.runner.parallel.ray_cluster import import_ray, last_line
from viubench.runner.parallel.worker import work_in
from viubench.video.process_pool import KillablePool

T = TypeVar("T")

RETRIES = 3
"""Times that a job is retried after its machine was lost."""


class RayPool(AbstractContextManager["RayPool"]):
    """As many jobs at once as the cluster has cores, each of at most `limit_s` seconds."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._job = import_ray().remote(_job).options(num_cpus=1, max_retries=RETRIES)
        self._open: set[Any] = set()

    def submit(self, fn: Callable[..., T], *args: Any, name: str = "") -> Future[T]:
        """Run fn(*args) somewhere; see `KillablePool.submit`. ViubenchError when Ray cannot run it."""
        future: Future[T] = Future()
        reference = self._job.remote(Path.cwd(), self.limit_s, pickle.dumps((fn, args)), name)
        self._open.add(reference)

        def came(done: Future[tuple[bool, Any]]) -> None:
            self._open.discard(reference)
            if not future.set_running_or_notify_cancel():
                return
            if error := done.exception():
                why = last_line(error) if isinstance(error, Exception) else str(error)
                future.set_exception(ViubenchError(f"Ray could not run the job of {name}: {why}", where="--ray"))
                return
            fine, value = done.result()
            (future.set_result if fine else future.set_exception)(value)

        reference.future().add_done_callback(came)
        return future

    def __exit__(self, *_: object) -> None:
        """Cancel what was not done."""
        for reference in list(self._open):
            import_ray().cancel(reference, force=True)


def _job(folder: Path, limit_s: float, call: bytes, name: str) -> tuple[bool, Any]:
    """On some machine: (True, result) or (False, exception)."""
    try:
        work_in(folder)
        fn, args = pickle.loads(call)
        return True, _pool(limit_s).submit(fn, *args, name=name).result()
    except Exception as error:
        return False, error


@cache
def _pool(limit_s: float) -> KillablePool:
    """This Ray process's own, for all the jobs it gets; its worker ends when the process does."""
    return KillablePool(1, limit_s)
