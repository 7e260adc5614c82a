"""Child processes for work that may hang or crash: a decoder that runs too long is killed, its job fails alone.

Example:
    with KillablePool(workers=2, limit_s=60) as pool:
        keys = pool.submit(cache.ensure_all, [(clip, sampling)], root, resize, name=clip.path).result()

Each worker is a pebble pool of one process behind a thread of this process, so that a kill or a crash touches no other
worker. After either, a fresh process takes the next job. Workers ignore Ctrl-C (the parent closes them) and end by
themselves when the parent is gone, however it went. They are forks of a server process that has imported the reader and
has no threads, where the system has such servers: a second of computing is spent once, not by every worker.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from viubench.errors import MediaError, ViubenchError
from viubench.video import cores

T = TypeVar("T")

START_S = 120.0
"""Seconds a fresh process may take until it is ready."""

BEHIND = 5
"""How far workers stand behind other processes of this program where both want a core: the engine goes first."""

FILES, FILES_A_WORKER = 20, 8
"""Files that are open beside the workers', at most, and what each of them needs here."""

LEAST_MEMORY = 512 << 20
"""Bytes of address space for threads and what they hold: glibc takes 72 MB for each."""

_main_lock, _hiding = threading.Lock(), 0
_hidden: dict[str, Any] = {}
"""What the `_hiding` blocks of `without_main` that are open have taken off the main module."""


class KillablePool:
    """A few worker processes, each started by its first job, with a limit of `limit_s` seconds per job.

    `memory_bytes` is the address space of one worker, None for no limit; mapped files count.
    """

    def __init__(self, workers: int, limit_s: float, *, memory_bytes: int | None = 32 << 30) -> None:
        _require_files(workers)
        require_memory()
        if workers < 1 or limit_s <= 0:
            raise ViubenchError(f"{workers} workers with a limit of {limit_s} s cannot work")
        self.limit_s = limit_s
        self._new_process = partial(ProcessPool, 1, 0, _prepare_worker, (memory_bytes, workers), _context())
        self._jobs: queue.SimpleQueue[tuple[Future[Any], str, bytes] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._running: set[Future[Any]] = set()
        self._threads = [
            threading.Thread(target=self._serve, name=f"decode-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., T], *args: Any, name: str = "") -> Future[T]:
        """Run fn(*args) in a worker, first come first served; all must be picklable, `fn` importable by name.

        The future has the result, or the exception fn raised, or MediaError `timeout`, `crashed` or `too_large` (the
        memory limit) of the file `name`.
        """
        if self._closing.is_set():
            raise RuntimeError("the pool is closed")
        future: Future[T] = Future()
        self._jobs.put((future, name, pickle.dumps((fn, args))))
        return future

    def close(self) -> None:
        """Kill the workers and cancel the jobs that wait; safe to call twice."""
        self._closing.set()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            while thread.is_alive():  # it may just be starting another job
                for running in list(self._running):
                    running.cancel()
                thread.join(0.1)
        with contextlib.suppress(queue.Empty):
            while True:
                if job := self._jobs.get_nowait():
                    job[0].cancel()

    def __enter__(self) -> KillablePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        process = None
        while (job := self._jobs.get()) is not None:
            future, name, call = job
            if self._closing.is_set() or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                with _no_interrupt(), without_main():
                    if process is None or not process.active:  # it was stopped, or died while it had nothing to do
                        _stop(process)
                        process = self._new_process()
                    limit_s = self.limit_s
                    running = process.schedule(_run, (call, name), timeout=limit_s)
                future.set_result(pickle.loads(self._result(running, name, limit_s)))
            except MediaError as error:
                if error.fault in ("timeout", "crashed"):
                    _stop(process)
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
        _stop(process)

    def _result(self, running: Future[bytes], name: str, limit_s: float) -> bytes:
        """What a job returned; raises what it raised, or MediaError `timeout` or `crashed`."""
        self._running.add(running)
        try:
            return running.result(START_S + limit_s)
        except TimeoutError as error:
            if error.__cause__ is not None:  # the job's own
                raise
            raise MediaError("timeout", name, f"killed after {limit_s:g} s") from None
        except ProcessExpired as error:
            code = error.exitcode
            end = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise MediaError("crashed", name, f"the decoder process {end}") from None
        except BrokenProcessPool:
            raise MediaError("crashed", name, "the decoder process could not be started") from None
        except CancelledError:
            raise MediaError("crashed", name, "the pool was closed") from None
        finally:
            self._running.discard(running)


def _require_files(workers: int) -> None:
    """Raise ViubenchError where the limit of open files is too low to start workers: they would wait for ever."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    needed = FILES + FILES_A_WORKER * workers
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise ViubenchError(
            f"only {limit} files may be open: {workers} decoding processes need {needed}",
            hint="raise the limit (ulimit -n 1024), or lower --workers",
        )


def require_memory() -> None:
    """Raise ViubenchError where a limit on this process's memory (`ulimit -v`) leaves less than its threads take:
    Python may wait for ever for a thread that finds no memory."""
    limit, pages = resource.getrlimit(resource.RLIMIT_AS)[0], Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not pages.exists():
        return
    left = limit - int(pages.read_text().split()[0]) * resource.getpagesize()
    if left < LEAST_MEMORY:
        raise ViubenchError(
            f"only {max(left, 0) >> 20} MB of memory may still be taken: {LEAST_MEMORY >> 20} MB are needed",
            hint="raise the limit (ulimit -v)",
        )


def _context() -> BaseContext:
    """How workers are started."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    multiprocessing.set_forkserver_preload(["viubench.video.decoder_server"])  # not the program's main module
    return multiprocessing.get_context("forkserver")


def _stop(process: ProcessPool | None) -> None:
    if process is not None:
        process.stop()
        process.join()


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Processes started in this block do not import the program's main module: a script without an
    `if __name__ == "__main__":` would run again in each of them."""
    global _hiding, _hidden
    main = vars(sys.modules["__main__"])
    with _main_lock:
        if not _hiding:
            _hidden = {name: main[name] for name in ("__file__", "__spec__") if name in main}
            main.pop("__file__", None)
            main["__spec__"] = None
        _hiding += 1
    try:
        yield
    finally:
        with _main_lock:
            _hiding -= 1
            if not _hiding:
                main.update(_hidden)


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """A process started here is born with Ctrl-C held back: one that comes while it imports would print a traceback."""
    resource_tracker.ensure_running()  # where that starts its own process, it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker(memory_bytes: int | None, workers: int) -> None:
    """In a fresh worker: its share of the cores, its memory limit, its place behind the engine, and an end when its
    parent ends or asks for it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a Python handler would wait for the decoder to return
    os.nice(BEHIND)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if memory_bytes is not None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    cores.take(workers)


def _run(call: bytes, name: str) -> bytes:
    """In a worker: one job. What it raises survives pickling."""
    try:
        fn, args = pickle.loads(call)
        return pickle.dumps(fn(*args))
    except MemoryError:
        raise MediaError("too_large", name, "needs more memory than a worker may have") from None
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise


def _end_with_parent() -> None:
    """Leave at once when the parent dies, even in the middle of a job."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
