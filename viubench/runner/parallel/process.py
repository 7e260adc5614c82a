"""Replicas as processes of this machine, each with its share of the GPUs, or of the cores where there is no GPU.

Example:
    with Processes(spec, replicas=2, gpus_each=1) as transport:
        await Replicas(engine, transport, warn=print).answer_all(attempts, finished, opened)

A replica is a Python program at the other end of a socket, in a session of its own: Ctrl-C does not reach it, the
parent ends it and all it started. It ends by itself when the socket closes, so it cannot outlive its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, ClassVar

from viubench.errors import ViubenchError
from viubench.runner.parallel.coordinator import GRACE, Died, Replica, Transport
from viubench.runner.parallel.devices import core_shares, gpu_shares
from viubench.runner.parallel.worker import Opened, ReplicaSpec, Worker
from viubench.runner.plan import Attempt
from viubench.schema import Record

PROGRAM = "import sys; from viubench.runner.parallel.process import main; main(int(sys.argv[1]))"


class Processes(Transport):
    """So many engine processes on this machine, each with `gpus_each` GPUs; raises ViubenchError where this machine has
    GPUs, and fewer than they take."""

    name: ClassVar[str] = "process"

    def __init__(self, spec: ReplicaSpec, replicas: int, gpus_each: int = 1) -> None:
        self.replicas = replicas
        gpus = gpu_shares(replicas, gpus_each)
        self.environments = [{"CUDA_VISIBLE_DEVICES": ",".join(share)} for share in gpus] or [{}] * replicas
        self.cores = [[]] * replicas if gpus else core_shares(replicas)
        apart = all(self.cores)  # each sees its own cores alone
        self.spec = replace(spec.travelling(), beside=1 if apart else replicas)

    def replica(self, number: int) -> Replica:
        return ProcessReplica(self.spec, self.environments[number], self.cores[number])


class ProcessReplica(Replica):
    """One engine process. Its calls and their answers are pickled messages: (number, method, arguments), and
    (number, whether it went well, value)."""

    def __init__(self, spec: ReplicaSpec, environment: Mapping[str, str], cores: Sequence[int]) -> None:
        self.spec, self.environment, self.cores = spec, environment, cores
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._pipe: Connection | None = None
        self._ending = ""

    async def open(self, soon: Sequence[Attempt]) -> Opened:
        self._start()
        opened: Opened = await self._call("open", soon)
        return opened

    async def answer(self, attempt: Attempt) -> Record:
        record: Record = await self._call("answer", attempt)
        return record

    async def close(self) -> None:
        if self._process is None or self._reader is None or self._pipe is None:
            return
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(b"")  # no message, the end
        try:
            await asyncio.to_thread(self._reader.join, GRACE)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # it leads its session; what it started is there too
            self._reader.join()
            self._pipe.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
                env={**os.environ, **self.environment},
            )  # fmt: skip
        self._pipe = Connection(ours.detach())
        with contextlib.suppress(OSError):  # gone: the reader says so
            self._pipe.send_bytes(pickle.dumps((sys.path, self.cores)))
            self._pipe.send_bytes(pickle.dumps(self.spec))
        self._reader = threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), daemon=True)
        self._reader.start()

    async def _call(self, method: str, argument: Any) -> Any:
        if self._pipe is None or self._ending:
            raise Died(self._ending or "not started")
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        with contextlib.suppress(OSError):  # gone: the reader says so
            self._pipe.send_bytes(pickle.dumps((number, method, argument)))
        return await answer

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: every answer to its caller, and the end to all who still wait."""
        assert self._pipe is not None
        assert self._process is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            with contextlib.suppress(EOFError, OSError):
                while True:
                    loop.call_soon_threadsafe(self._came, *pickle.loads(self._pipe.recv_bytes()))
            code = self._process.wait()
            ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            loop.call_soon_threadsafe(self._gone, f"its process ended ({ending})")

    def _came(self, number: int, fine: bool, value: Any) -> None:
        waiting = self._waiting.pop(number)
        if not waiting.done():  # else cancelled
            (waiting.set_result if fine else waiting.set_exception)(value)

    def _gone(self, ending: str) -> None:
        self._ending = ending
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Died(ending))
        self._waiting.clear()


# --- in the replica ---------------------------------------------------------------------------------------------------


def main(handle: int) -> None:
    """Serve the calls that arrive on the socket until it closes."""
    pipe = Connection(handle)
    sys.path[:], cores = pickle.loads(pipe.recv_bytes())
    if cores:
        os.sched_setaffinity(0, cores)
    spec: ReplicaSpec = pickle.loads(pipe.recv_bytes())
    with contextlib.suppress(OSError):  # the parent is gone in the middle of an answer
        asyncio.run(_serve(pipe, spec))
    os._exit(0)  # whatever threads the engine's libraries left


async def _serve(pipe: Connection, spec: ReplicaSpec) -> None:
    worker = Worker(spec)
    calls: asyncio.Queue[tuple[int, str, Any] | None] = asyncio.Queue()
    threading.Thread(target=_listen, args=(pipe, asyncio.get_running_loop(), calls), daemon=True).start()
    replies: set[asyncio.Task[None]] = set()
    try:
        while (call := await calls.get()) is not None:
            replies.add(task := asyncio.create_task(_reply(pipe, worker, *call)))
            task.add_done_callback(replies.discard)
    finally:
        for task in replies:
            task.cancel()
        await worker.close()


def _listen(
    pipe: Connection, loop: asyncio.AbstractEventLoop, calls: asyncio.Queue[tuple[int, str, Any] | None]
) -> None:
    """In a thread, since loading a model blocks the loop: takes the calls, and ends all when the parent is gone."""
    try:
        while message := pipe.recv_bytes():
            loop.call_soon_threadsafe(calls.put_nowait, pickle.loads(message))
        loop.call_soon_threadsafe(calls.put_nowait, None)
    except (EOFError, OSError):
        os._exit(1)


async def _reply(pipe: Connection, worker: Worker, number: int, method: str, argument: Any) -> None:
    try:
        fine, value = True, await getattr(worker, method)(argument)
    except ViubenchError as error:
        fine, value = False, error
    except Exception:  # a fault of ours, with its traceback
        fine, value = False, RuntimeError(f"in a replica:\n{traceback.format_exc()}")
    pipe.send_bytes(pickle.dumps((number, fine, value)))
