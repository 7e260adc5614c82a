"""vLLM's engine core is a child process: its environment, what it prints, and that it never outlives this process.

The core is started by spawning, so the program that uses the engine must be importable without side effects. What it
prints goes to a log file that is quoted when it does not start or dies; with VIUBENCH_DEBUG=1 to the terminal.

Example:
    set_environment()
    with CoreLog() as log:
        ...  # start the core; it keeps the log
    log.reason()
    # 'torch.OutOfMemoryError: tried to allocate 9 GiB'
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO, Any

from viubench.errors import EngineError, ViubenchError
from viubench.storage import environment

SMALL_MACHINE = 8
"""Up to so many cores vLLM's worker lives in the engine core's process: one process less to load, 10 to 20 s."""

BATCH_INVARIANT = "VLLM_BATCH_INVARIANT"

_TAIL = 2**20  # bytes of the log that are searched for the reason
_EXCEPTION = re.compile(r"(?:\w+\.)*\w+(?:Error|Exception)(: .+)?")
_BORROWED = re.compile(r"_get_num_multimodal_tokens|\bTransformers(MultiModal)?(MoE)?For\w+")
"""What vLLM asks of a processor, and what it calls a model, where it runs an architecture with transformers' code."""

_UNSET = re.compile(r"'\w+Config' object has no attribute '(\w+)'")

_UNEXPECTED = re.compile(r"unexpected keyword(?: argument)? \W?(do_\w+)", re.IGNORECASE)

_EMPTY = re.compile(r"(Engine core initialization failed|EngineCore (failed|encountered)|WorkerProc)")


class CoreLog:
    """While it is entered, standard error of this process is a file, which a core started meanwhile keeps."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._stderr = -1

    def __enter__(self) -> CoreLog:
        if not _debug():
            self._file = tempfile.TemporaryFile(prefix="viubench-vllm-")
            self._stderr = os.dup(2)
            os.dup2(self._file.fileno(), 2)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stderr >= 0:
            os.dup2(self._stderr, 2)
            os.close(self._stderr)
            self._stderr = -1

    def reason(self) -> str | None:
        """The exception that was printed last, None where none was (see `printed_reason`)."""
        if self._file is None:
            return None
        end = os.fstat(self._file.fileno()).st_size
        tail = os.pread(self._file.fileno(), _TAIL, max(0, end - _TAIL))
        return printed_reason(tail.decode("utf-8", errors="replace"))

    def close(self) -> None:
        """Forget what was printed; safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


def guard(cores: Sequence[int | None]) -> subprocess.Popen[bytes]:
    """A shell that kills the engine cores when this process ends without saying "done".

    A core outlives a parent killed by SIGKILL, with all its memory; the shell sees the pipe close. It has a session of
    its own, so that Ctrl-C does not end it first.
    """
    script = 'read -r word || kill -9 "$@"'
    command = ["sh", "-c", script, "viubench-guard", *[str(pid) for pid in cores if pid is not None]]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


def set_environment() -> None:
    """What vLLM reads from the environment, before its first import; a value the user has set stays."""
    defaults = {
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork would copy our threads' locks and open files
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait by spinning take the decoders' cores on a small machine
    }
    if (os.cpu_count() or 1) <= SMALL_MACHINE:
        defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    if not _debug():
        defaults |= {"VLLM_LOGGING_LEVEL": "ERROR", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def argument_types() -> dict[str, Any]:
    """The type of each of vLLM's engine arguments; imports vLLM, and raises ImportError where that fails."""
    set_environment()
    from vllm.engine.arg_utils import AsyncEngineArgs

    return {field.name: field.type for field in dataclasses.fields(AsyncEngineArgs)}


def batch_invariant(vllm: Any) -> bool:
    """Turn vLLM's batch-invariant kernels on, before its engine is imported; False where this vLLM has none."""
    envs = importlib.import_module(f"{vllm.__name__}.envs")
    if BATCH_INVARIANT not in getattr(envs, "environment_variables", {}):
        return False
    os.environ[BATCH_INVARIANT] = "1"
    return True


def start_error(
    error: Exception, printed: str | None, model: str, setting: str = "--engine-arg K=V", advice: str = ""
) -> ViubenchError:
    """The reason a start failed, as vLLM's core `printed` it, else as the exception says it.

    `setting` is where the user can change vLLM's settings, `advice` what is known to help.
    """
    said = printed or reason(error)
    if _BORROWED.search(said):
        return ViubenchError(
            "vLLM has no code for this architecture, and that of transformers does not fit in its place",
            where=model,
            hint="use --engine hf",
        )
    if unset := _UNSET.search(said):
        return ViubenchError(
            f"vLLM's code for this architecture needs {unset[1]!r}, which config.json does not say",
            where=model,
            hint="copy config.json from the model it was made from, or use --engine hf",
        )
    return ViubenchError(
        f"vLLM could not open the model: {said}",
        where=model,
        hint=advice or f"VIUBENCH_DEBUG=1 shows all that vLLM prints; {setting} changes its settings",
    )


def prompt_error(error: Exception, model: str) -> EngineError | ViubenchError:
    """Why no prompt could be made of a request: what its processor does not take of any is an error of the run."""
    said = reason(error)
    if argument := _UNEXPECTED.search(said):
        return ViubenchError(
            f"vLLM's processor of this model takes no {argument[1]}: it would change the frames",
            where=model,
            hint="use --engine hf",
        )
    return EngineError(said)


def printed_reason(log: str) -> str | None:
    """The last exception of the tracebacks in `log` that says something; one without a message comes with the code
    line that raised it."""
    lines = [line.split("] ", 1)[-1].strip() for line in log.splitlines()]
    code = [line for line in lines if line.strip("^~ ")]
    for number in reversed(range(len(code))):
        match = _EXCEPTION.fullmatch(code[number])
        if match and not _EMPTY.search(match[1] or ""):
            return (match[0] if match[1] or not number else f"{match[0]} at `{code[number - 1]}`")[:500]
    return None


def reason(error: BaseException) -> str:
    """The innermost cause with a message, in one line."""
    cause: BaseException | None = error
    text = ""
    while cause is not None:
        text = " ".join(str(cause).split()) or text or type(cause).__name__
        cause = cause.__cause__
    return text[:500]


def _debug() -> bool:
    return environment.on(environment.DEBUG)
