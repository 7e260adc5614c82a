"""vLLM in this process: many requests at once, each failing on its own; frames go in as arrays with their true times.

The engine core is a child process that vLLM starts by spawning, so the program that uses this module must be
importable without side effects. What the core prints goes to a log file that is quoted when the start fails; with
VIUBENCH_DEBUG=1 it goes to the terminal.

Example:
    async with VllmEngine("tiny-qwen3-vl", {"max_model_len": "16384"}) as engine:
        response = await engine.generate(request)
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import multiprocessing
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from viubench.engines import engine_args, prompts
from viubench.engines.base import CheckpointEngine, Request, Response, allow_read_only_frames
from viubench.engines.token_counts import TIMESTAMPED_TYPES
from viubench.errors import EngineDead, EngineError, Exit, ViubenchError
from viubench.schema import Decoding
from viubench.video import timestamps
from viubench.video.frames import VideoInput
from viubench.video.process_pool import without_main

MAX_VIDEOS = 12
MAX_STILLS = 64
CONTEXT_CAP = 32768
"""Tokens of context asked for when the model could take more: a longer one reserves memory no protocol uses."""

BATCHED_TOKENS = 16384
"""Tokens computed at once, and the size of vLLM's cache of encoded videos: a smaller one drops a video before its last
question is asked, and vLLM's own default on a CPU (2,048) refuses 48 frames of 512 x 512."""

SMALL_MACHINE = 8
"""Up to so many cores vLLM's worker lives in the engine core's process: one process less to load, 10 to 20 s."""

CPU_CLOSE_S = 1
"""How long a core on a CPU may take to close: it is done at once, then spends 3 to 5 s of computing on forgetting its
modules one by one, and has nothing else to give back."""

BATCH_INVARIANT = "VLLM_BATCH_INVARIANT"
ALONE = {"max_num_seqs": 1, "enable_prefix_caching": False}
"""One request at a time, computed whole: the shapes of its matrices, hence its rounding, are its own."""
INVARIANT = {"batch_invariant": True, "enable_prefix_caching": False}
"""Many at a time, by kernels whose rounding does not depend on the batch."""

FRAMES_AS_THEY_ARE = {"do_sample_frames": False, "do_resize": False}
AS_WRITTEN = {"add_special_tokens": False}
"""How a prompt is tokenised: the chat template has written its special tokens."""

_EXCEPTION = re.compile(r"(?:\w+\.)*\w+(?:Error|Exception)(: .+)?")


class VllmEngine(CheckpointEngine):
    """Answers through vLLM's AsyncLLM on whatever device vLLM finds.

    Args:
        args: further vLLM engine arguments by name, and `max_in_flight`.
        deterministic: an answer depends on its request alone. A GPU uses vLLM's batch-invariant kernels where this
            vLLM has them, and stays fast; else, and on the CPU, the engine computes one request at a time. Nothing is
            taken over from another request: neither its prefix nor its encoded videos.
        logprobs: also give the log-probabilities of the generated tokens.
    """

    kind: ClassVar[str] = "vllm"
    library: ClassVar[str] = "vllm"

    def __init__(
        self, model: str, args: Mapping[str, str], *, deterministic: bool = False, logprobs: bool = False
    ) -> None:
        if deterministic and (fixed := sorted(set(ALONE) & set(args))):
            raise ViubenchError(f"--deterministic settles {fixed[0]}", where="--engine-arg", hint="leave it out")
        given = {"max_in_flight": "16", **args}
        own = {"max_in_flight": given.pop("max_in_flight")}
        super().__init__(model, given, deterministic=deterministic)
        self.max_in_flight = engine_args.typed(own, {"max_in_flight": int}, self.kind)["max_in_flight"]
        self.logprobs = logprobs
        self._llm: Any = None
        self._close_s: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._proven: set[str] = set()
        self._numbers = itertools.count()

    async def start(self) -> None:
        set_environment()
        with core_output() as log:
            try:
                self._open()
            except ViubenchError:
                raise
            except Exception as error:  # whatever vLLM raises here, the user needs its reason, not its trace
                await self.close()
                raise start_error(error, log, self.checkpoint["path"]) from error

    def _open(self) -> None:
        allow_read_only_frames()
        try:
            import vllm
            from vllm.platforms import current_platform

            on_cpu = current_platform.is_cpu()
            invariant = self.deterministic and not on_cpu and batch_invariant(vllm)
            from transformers import AutoProcessor
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise ViubenchError(
                f"the vllm engine cannot be loaded: {error}",
                hint="pip install 'viubench[cpu]' (or 'viubench[gpu]'), or use --engine hf",
            ) from error
        self.version = vllm.__version__
        fields = {field.name: field.type for field in dataclasses.fields(AsyncEngineArgs)}
        self._close_s = CPU_CLOSE_S if on_cpu else None
        self.settings = default_settings(self.checkpoint, on_cpu=on_cpu) | _typed(self.args, fields)
        if self.deterministic:
            self.settings |= INVARIANT if invariant else ALONE
        quiet = {"use_tqdm_on_load": False, "disable_log_stats": True, "enable_log_requests": False}
        arguments = {"model": self.checkpoint["path"], **quiet, **self.settings}
        self._processor = AutoProcessor.from_pretrained(self.checkpoint["path"])
        others = {child.pid for child in multiprocessing.active_children()}
        with without_main():
            self._llm = AsyncLLM.from_engine_args(
                AsyncEngineArgs(**{name: value for name, value in arguments.items() if name in fields})
            )
        self._guard = _guard([child.pid for child in multiprocessing.active_children() if child.pid not in others])

    async def generate(self, request: Request) -> Response:
        started = time.perf_counter()
        names = request.media_ids
        if self.deterministic:  # a video encoded for another request may have been rounded beside other videos
            names = tuple(f"{request.sample.id}-{name}" for name in names)
        prompt = as_prompt(self._processor, request.sample.question, request.videos, names)
        output = await self._run(prompt, request.decoding)
        kinds = {_kind(video) for video in request.videos}
        if not kinds <= self._proven:
            self._check_prompt(output.prompt_token_ids, request)
            self._proven |= kinds
        answer = output.outputs[0]
        usage = {"prompt_tokens": len(output.prompt_token_ids), "completion_tokens": len(answer.token_ids)}
        if output.num_cached_tokens is not None:
            usage["cached_tokens"] = output.num_cached_tokens
        chosen = zip(answer.token_ids, answer.logprobs or (), strict=False)
        logprobs = tuple(float(position[token].logprob) for token, position in chosen)
        return Response(answer.text, answer.finish_reason, usage, time.perf_counter() - started, logprobs=logprobs)

    async def _run(self, prompt: dict[str, Any], decoding: Decoding) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError

        sampling = SamplingParams(
            temperature=decoding.temperature,
            max_tokens=decoding.max_tokens,
            seed=0 if decoding.temperature else None,
            logprobs=0 if self.logprobs else None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        name, output = f"viubench-{next(self._numbers)}", None
        try:
            async for latest in self._llm.generate(prompt, sampling, name, tokenization_kwargs=AS_WRITTEN):
                output = latest
        except EngineDeadError as error:
            raise EngineDead(
                "the vLLM engine core died in the middle of the run",
                hint="the same command resumes; VIUBENCH_DEBUG=1 shows what the core prints",
                exit_code=Exit.INVALID_RUN,
            ) from error
        except Exception as error:  # any other fault belongs to this request alone
            raise EngineError(reason(error)) from error
        if output is None:
            raise EngineError("vLLM returned no output")
        return output

    def _check_prompt(self, token_ids: list[int], request: Request) -> None:
        """Proof on the first answer that the model saw our frames at our times: nothing sampled or resized again."""
        metas = [timestamps.metadata(video) for video in prompts.moving(request.videos)]
        text = self._processor.tokenizer.decode(token_ids)
        group = getattr(getattr(self._processor, "video_processor", None), "temporal_patch_size", 2)
        stamped = self.checkpoint["model_type"] in TIMESTAMPED_TYPES or timestamps.has_timestamps(text)
        problem = timestamps.missing_timestamps(text, metas, group) if stamped and metas else None
        side = self.frame_format.multiple
        for kind in ("video", "image") if problem is None and stamped and side else ():
            pad = getattr(self._llm.model_config.hf_config, f"{kind}_token_id", None)
            shapes = [video.pixels.shape for video in request.videos if _kind(video) == kind]
            expected = sum(-(-t // group) * (h // side) * (w // side) for t, h, w, _ in shapes)
            if pad is not None and (seen := token_ids.count(pad)) != expected:
                problem = f"the frames became {seen} vision tokens where {expected} were due: they were resized again"
        if problem is not None:
            raise ViubenchError(
                f"vLLM does not show the model the frames it was given: {problem}",
                hint=f"vLLM {self.version} and this checkpoint's processor do not fit; try --engine hf",
            )

    async def close(self) -> None:
        if self._llm is not None:
            self._llm.shutdown(timeout=self._close_s)
            self._llm = None
        if self.settings.get("batch_invariant"):
            os.environ.pop(BATCH_INVARIANT, None)
        if self._guard is not None:
            self._guard.communicate(b"done\n")
            self._guard = None


def as_prompt(processor: Any, question: str, videos: Sequence[VideoInput], media_ids: Sequence[str]) -> dict[str, Any]:
    """A question in vLLM's own form: the text, the frames with their clocks, the pictures, and an id of each."""
    text = prompts.render(processor, question, len(videos), prompts.still_places(videos))
    if not videos:
        return {"prompt": text}
    from PIL import Image

    data: dict[str, list[Any]] = {}
    names: dict[str, list[str]] = {}
    for video, name in zip(videos, media_ids, strict=True):
        shown = Image.fromarray(video.pixels[0]) if video.still else (video.pixels, timestamps.metadata(video))
        data.setdefault(_kind(video), []).append(shown)
        names.setdefault(_kind(video), []).append(name)
    media = {"multi_modal_data": data, "multi_modal_uuids": names, "mm_processor_kwargs": FRAMES_AS_THEY_ARE}
    return {"prompt": text, **media}


def _kind(video: VideoInput) -> str:
    """vLLM's name of what a video is shown as."""
    return "image" if video.still else "video"


def default_settings(checkpoint: Mapping[str, Any], *, on_cpu: bool) -> dict[str, Any]:
    """Engine arguments for a checkpoint on this machine; `--engine-arg` overrides each."""
    context = min(checkpoint.get("context") or CONTEXT_CAP, CONTEXT_CAP)
    common = {
        "max_model_len": context,
        "max_num_batched_tokens": BATCHED_TOKENS,
        "limit_mm_per_prompt": {"video": MAX_VIDEOS, "image": MAX_STILLS},
        "seed": 0,
        "generation_config": "vllm",  # greedy means greedy: no repetition penalty from the checkpoint's own defaults
    }
    if not on_cpu:
        return common | {"dtype": "auto"}
    # Room for four full contexts in float32, at least 256 MiB, at most a quarter of the memory that is free now.
    values, free = checkpoint.get("cache_values"), os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cache = max(min(2**32 if values is None else 4 * context * values * 4, free // 4), 2**28)
    # Profiling with the largest videos there could be takes a CPU minutes and measures nothing useful there.
    eager = {"enforce_eager": True, "skip_mm_profiling": True}
    return common | {"dtype": "float32", "kv_cache_memory_bytes": cache, **eager}


def _typed(args: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Values as vLLM's own field types want them: a field of text keeps its text, others are read as JSON."""
    engine_args.refuse_unknown(args, {*fields, "max_in_flight"} - {"model"}, "vllm")
    texts = {name for name, kind in fields.items() if kind is str or str(kind) in ("str", "str | None")}
    return {name: value if name in texts else engine_args.as_json(value) for name, value in args.items()}


def _guard(cores: list[int | None]) -> subprocess.Popen[bytes]:
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


def batch_invariant(vllm: Any) -> bool:
    """Turn vLLM's batch-invariant kernels on, before its engine is imported; False where this vLLM has none."""
    envs = importlib.import_module(f"{vllm.__name__}.envs")
    if BATCH_INVARIANT not in getattr(envs, "environment_variables", {}):
        return False
    os.environ[BATCH_INVARIANT] = "1"
    return True


def _debug() -> bool:
    return os.environ.get("VIUBENCH_DEBUG", "") not in ("", "0")


@contextmanager
def core_output() -> Iterator[Path | None]:
    """While the engine core is started, standard error is a log file, which the core keeps; yields its path."""
    if _debug():
        yield None
        return
    kept = os.dup(2)
    with tempfile.NamedTemporaryFile(
        prefix="viubench-vllm-", suffix=".log"
    ) as log:  # the core writes on when it is gone
        os.dup2(log.fileno(), 2)
        try:
            yield Path(log.name)
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def start_error(error: Exception, log: Path | None, model: str, setting: str = "--engine-arg K=V") -> ViubenchError:
    """The reason a start failed, as vLLM's core printed it, else as the exception says it.

    `setting` is where the user can change vLLM's settings.
    """
    printed = log.read_text(encoding="utf-8", errors="replace") if log else ""
    return ViubenchError(
        f"vLLM could not open the model: {printed_reason(printed) or reason(error)}",
        where=model,
        hint=f"VIUBENCH_DEBUG=1 shows all that vLLM prints; {setting} changes its settings",
    )


def printed_reason(log: str) -> str | None:
    """The last exception of the tracebacks in `log`; one without a message comes with the code line that raised it."""
    lines = [line.split("] ", 1)[-1].strip() for line in log.splitlines()]
    code = [line for line in lines if line.strip("^~ ")]
    for number in reversed(range(len(code))):
        if match := _EXCEPTION.fullmatch(code[number]):
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
