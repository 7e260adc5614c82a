"""Child processes for work that may hang or crash: a decoder that runs too long is killed, the job fails alone.

Example:
    >>> with KillablePool(workers=2, limit_s=60) as pool:  # doctest: +SKIP
    ...     key = pool.submit(store.ensure, clip, root, sampling, resize, name=clip.path).result()

Each worker is one spawned process behind one thread of this process. The thread hands it a job, waits at most the
limit for the answer, and starts a fresh process after a kill. Workers ignore Ctrl-C (the parent closes them) and end
by themselves when the parent is gone, however it went.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from viubench.errors import MediaError, ViubenchError
from viubench.video import cores

T = TypeVar("T")

START_S = 120.0
"""Seconds a fresh process may take until it is ready."""

_Job = tuple[Future[Any], str, bytes]


class KillablePool:
    """A few worker processes with a wall limit per job.

    Args:
        workers: number of processes, at least 1; each starts with its first job.
        limit_s: seconds one job may take.
        memory_bytes: address space of one worker; None for no limit. Mapped files count.
    """

    def __init__(self, workers: int, limit_s: float, *, memory_bytes: int | None = 32 << 30) -> None:
        if workers < 1 or limit_s <= 0:
            raise ViubenchError(f"{workers} workers with a limit of {limit_s} s cannot work")
        self.limit_s = limit_s
        self.memory_bytes = memory_bytes
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._running: set[BaseProcess] = set()
        self._threads = [
            threading.Thread(target=self._serve, name=f"decode-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., T], *args: Any, name: str = "") -> Future[T]:
        """Run fn(*args) in a worker; all must be picklable, `fn` importable by name.

        Args:
            name: the file that a `timeout` or `crashed` error names.

        Returns:
            A future with the result, or with the exception fn raised, or MediaError `timeout`, `crashed` or
            `too_large` (the memory limit).
        """
        if self._closing.is_set():
            raise RuntimeError("the pool is closed")
        future: Future[T] = Future()
        self._jobs.put((future, name, pickle.dumps((fn, args))))
        return future

    def close(self) -> None:
        """Kill the workers and cancel what waits; safe to call twice."""
        self._closing.set()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            while thread.is_alive():  # it may just be starting another worker
                for process in list(self._running):
                    process.kill()
                thread.join(0.1)
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job[0].cancel()

    def __enter__(self) -> KillablePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        worker: _Worker | None = None
        while (job := self._jobs.get()) is not None:
            future, name, call = job
            if self._closing.is_set() or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            if worker is None:
                worker = _Worker(self.memory_bytes, len(self._threads))
                self._running.add(worker.process)
            try:
                fine, value = worker.answer(call, self.limit_s)
            except TimeoutError as error:
                fine, value = False, MediaError("timeout", name, str(error))
            except (EOFError, OSError):
                fine, value = False, MediaError("crashed", name, worker.epitaph())
            else:
                if isinstance(value, MemoryError):
                    fine, value = False, MediaError("too_large", name, "needs more memory than a worker may have")
                _settle(future, fine, value)
                continue
            self._running.discard(worker.process)
            worker.stop()
            worker = None
            _settle(future, fine, value)
        if worker is not None:
            worker.stop()


def _settle(future: Future[Any], fine: bool, value: Any) -> None:
    if fine:
        future.set_result(value)
    else:
        future.set_exception(value)


class _Worker:
    """One child process and the pipe to it."""

    def __init__(self, memory_bytes: int | None, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, memory_bytes, workers), daemon=True)
        with _no_interrupt():
            self.process.start()
        theirs.close()
        self.ready = False

    def answer(self, call: bytes, limit_s: float) -> tuple[bool, Any]:
        """(True, result) or (False, exception); TimeoutError past the limit, EOFError or OSError when it died."""
        if not self.ready:
            self._await(START_S)
            self.pipe.recv_bytes()
            self.ready = True
        self.pipe.send_bytes(call)
        self._await(limit_s)
        fine, value, where = pickle.loads(self.pipe.recv_bytes())
        if not fine and not isinstance(value, (MediaError, ViubenchError)):
            value.__cause__ = RuntimeError(f"in a worker process:\n{where}")
        return fine, value

    def _await(self, seconds: float) -> None:
        if not self.pipe.poll(seconds):
            raise TimeoutError(f"killed after {seconds:g} s")

    def epitaph(self) -> str:
        self.process.join(5)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"the decoder process died of {signal.Signals(-code).name}"
        return f"the decoder process ended with exit code {code}"

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """A process started here is born with Ctrl-C held back: one that comes while it imports would print a traceback."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, memory_bytes: int | None, workers: int) -> None:
    """A worker's life: one job after the other until the pipe closes. It keeps to its share of the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also one that was held back until now
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if memory_bytes is not None and sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    cores.take(workers)
    try:
        pipe.send_bytes(b"ready")
        while True:
            pipe.send_bytes(_run(pipe.recv_bytes()))
    except (EOFError, OSError):
        return


def _run(call: bytes) -> bytes:
    try:
        fn, args = pickle.loads(call)
        return pickle.dumps((True, fn(*args), ""))
    except Exception as error:
        where = traceback.format_exc()
        try:
            packed = pickle.dumps((False, error, where))
            pickle.loads(packed)
        except Exception:  # an exception that does not survive the journey is told in words
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}"), where))
        return packed


def _end_with_parent() -> None:
    """Leave at once when the parent dies, even in the middle of a job."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
