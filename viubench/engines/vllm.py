"""vLLM in this process: many requests at once, each failing on its own; frames go in as arrays with their true times.

Example:
    async with VllmEngine("tiny-qwen3-vl", {"max_model_len": "16384"}) as engine:
        response = await engine.generate(request)
"""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from viubench.engines import engine_args, prompts, vllm_process, vllm_scores
from viubench.engines.base import CheckpointEngine, Request, Response, allow_read_only_frames
from viubench.engines.constrained import chosen, continuations, refuse_reasoning
from viubench.engines.token_counts import TIMESTAMPED_TYPES
from viubench.engines.vllm_process import CoreLog, reason
from viubench.engines.vllm_prompt import AS_WRITTEN, as_prompt, kind
from viubench.engines.vllm_sampling import FAILED, ReasoningParser, sampling_values
from viubench.engines.vllm_settings import ALONE, INVARIANT, default_settings, typed
from viubench.errors import EngineDead, EngineError, Exit, ViubenchError
from viubench.schema import Answers
from viubench.video import timestamps
from viubench.video.process_pool import without_main

CPU_CLOSE_S = 1
"""How long a core on a CPU may take to close: it is done at once, then spends 3 to 5 s of computing on forgetting its
modules one by one, and has nothing else to give back."""

PROMPT_END = 200
"""Characters of the prompt's end that a response carries."""

FIRST_AND_LAST = 2**30
"""Tokens between two outputs of a request: its first token and the whole answer are what is wanted."""

TRIES = 2
"""Of a request that vLLM itself failed."""


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
    answers: frozenset[Answers] = frozenset({"free", "constrained", "likelihood"})

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
        self._log = CoreLog()
        self._close_s: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._proven: set[str] = set()
        self._parsers: dict[str, ReasoningParser] = {}
        self._numbers = itertools.count()

    async def start(self) -> None:
        vllm_process.set_environment()
        self._log = CoreLog()
        try:
            with self._log:
                self._open()
        except ViubenchError:
            raise
        except Exception as error:  # whatever vLLM raises here, the user needs its reason, not its trace
            printed = self._log.reason()
            await self.close()
            raise vllm_process.start_error(error, printed, self.checkpoint["path"]) from error

    def _open(self) -> None:
        allow_read_only_frames()
        try:
            import vllm
            from vllm.platforms import current_platform

            on_cpu = current_platform.is_cpu()
            invariant = self.deterministic and not on_cpu and vllm_process.batch_invariant(vllm)
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
        self.settings = default_settings(self.checkpoint, on_cpu=on_cpu, needs=self.needs) | typed(self.args, fields)
        if self.deterministic:
            self.settings |= INVARIANT if invariant else ALONE
        quiet = {"use_tqdm_on_load": False, "disable_log_stats": True, "enable_log_requests": False}
        arguments = {"model": self.checkpoint["path"], **quiet, **self.settings}
        trusted = bool(self.settings["trust_remote_code"])
        self._processor = AutoProcessor.from_pretrained(self.checkpoint["path"], trust_remote_code=trusted)
        others = {child.pid for child in multiprocessing.active_children()}
        with without_main():
            self._llm = AsyncLLM.from_engine_args(
                AsyncEngineArgs(**{name: value for name, value in arguments.items() if name in fields})
            )
        cores = [child.pid for child in multiprocessing.active_children() if child.pid not in others]
        self._guard = vllm_process.guard(cores)

    async def generate(self, request: Request) -> Response:
        started = time.perf_counter()
        names = request.media_ids
        if self.deterministic:  # a video encoded for another request may have been rounded beside other videos
            names = tuple(f"{request.sample.id}-{name}" for name in names)
        prompt = as_prompt(self._processor, request.sample.question, request.videos, names)
        if request.answers == "likelihood":
            return await self._likeliest(request, prompt, started)
        parser = self._parser(request, prompt["prompt"])
        constraint = request.constraint if request.answers == "constrained" else None
        values = sampling_values(request.decoding, request.chat, request.seed, constraint)
        values["logprobs"] = 0 if self.logprobs else None
        if parser is not None:
            values["skip_special_tokens"] = parser.skip_special_tokens
        output, first = await self._ask(request, prompt, values, parser=parser)
        answer = output.outputs[0]
        usage = {"prompt_tokens": len(output.prompt_token_ids), "completion_tokens": len(answer.token_ids)}
        if output.num_cached_tokens is not None:
            usage["cached_tokens"] = output.num_cached_tokens
        picked = zip(answer.token_ids, answer.logprobs or (), strict=False)
        reasoning, text = ("", answer.text) if parser is None else parser.split(answer.text)
        return Response(
            text,
            answer.finish_reason,
            usage,
            time.perf_counter() - started,
            reasoning=reasoning,
            prompt_end=prompt["prompt"][-PROMPT_END:],
            first_token=first,
            logprobs=tuple(float(position[token].logprob) for token, position in picked),
        )

    async def _likeliest(self, request: Request, prompt: dict[str, Any], started: float) -> Response:
        """The likeliest of the options; nothing is generated."""
        assert request.constraint is not None, "options to choose from"
        refuse_reasoning(request.chat, prompt["prompt"], "")
        tokenizer = self._llm.renderer.tokenizer
        options = request.constraint.choices
        found = continuations(tokenizer, prompt["prompt"], options, tokenizer.eos_token_id)
        tokens = 0

        async def ask(before: vllm_scores.Tokens, wanted: Sequence[int]) -> dict[int, float]:
            nonlocal tokens
            output, _ = await self._ask(request, prompt, vllm_scores.sampling_values(wanted), before)
            tokens = max(tokens, len(output.prompt_token_ids) - len(before))
            place = output.outputs[0].logprobs[0]
            return {token: float(place[token].logprob) for token in wanted}

        logprobs = await vllm_scores.option_logprobs(ask, found)
        return chosen(options, logprobs, tokens, time.perf_counter() - started)

    def _parser(self, request: Request, prompt: str) -> ReasoningParser | None:
        """The reasoning parser that the protocol names."""
        chat = request.chat
        name = chat.reasoning_parser
        if name and name not in self._parsers:
            self._parsers[name] = ReasoningParser(name, self._processor.tokenizer, chat.template_kwargs)
        started = str(self.settings.get("reasoning_parser") or "")
        if request.answers == "constrained":
            refuse_reasoning(chat, prompt, name if started == name else "")
        if chat.reasoning_budget is not None and not started:
            raise ViubenchError(
                "vLLM needs a reasoning parser to end the reasoning after so many tokens",
                where="chat.reasoning_budget",
                hint="--set chat.reasoning_parser=NAME, or leave the budget out",
            )
        return self._parsers.get(name)

    async def _ask(
        self,
        request: Request,
        prompt: dict[str, Any],
        values: dict[str, Any],
        before: Sequence[int] = (),
        parser: ReasoningParser | None = None,
    ) -> tuple[Any, float | None]:
        """vLLM's output for a prompt, with the tokens `before` put behind it, and the seconds to its first token."""
        more: dict[str, Any] = {}
        for _ in range(TRIES):
            rendered = await self._render(prompt)
            self._check(rendered, request)
            ids = rendered["prompt_token_ids"]
            if parser is not None and "structured_outputs" in values:
                more["reasoning_ended"] = parser.ended(request.chat, ids)
            rendered["prompt_token_ids"] = [*ids, *before]
            output, first = await self._run(rendered, values, **more)
            if output.outputs[0].finish_reason not in FAILED:
                return output, first
        raise EngineError(f"vLLM ended the answer with {output.outputs[0].finish_reason}")

    async def _render(self, prompt: dict[str, Any], **more: Any) -> Any:
        """A prompt as vLLM's engine input: expanded token ids and processed videos. One that is not sent to the core
        leaves the processor's cache ahead of the core's; the next request for the same video has to be tried twice."""
        from vllm.renderers.inputs.preprocess import parse_model_prompt

        renderer = self._llm.renderer
        how = renderer.default_cmpl_tok_params.with_kwargs(**AS_WRITTEN)
        parsed = parse_model_prompt(self._llm.model_config, prompt)
        try:
            (rendered,) = await renderer.render_cmpl_async([parsed], how, **more)
        except Exception as error:  # a video this model does not take, a prompt that is too long
            raise EngineError(reason(error)) from error
        return rendered

    async def _run(self, rendered: Any, values: dict[str, Any], **more: Any) -> tuple[Any, float | None]:
        """vLLM's output for an engine input, and the seconds to its first token."""
        from vllm import SamplingParams
        from vllm.v1.engine.exceptions import EngineDeadError

        began = time.perf_counter()
        name, output, first = f"viubench-{next(self._numbers)}", None, None
        try:
            sampling = SamplingParams(**values, stream_interval=FIRST_AND_LAST)
            async for latest in self._llm.generate(rendered, sampling, name, **more):
                output, first = latest, first or time.perf_counter() - began
        except EngineDeadError as error:
            raise self._died() from error
        except Exception as error:  # any other fault belongs to this request alone
            raise EngineError(reason(error)) from error
        if output is None:
            raise EngineError("vLLM returned no output")
        return output, first

    def _died(self) -> EngineDead:
        cause = self._log.reason()
        return EngineDead(
            "the vLLM engine core died in the middle of the run" + (f": {cause}" if cause else ""),
            hint="the same command resumes; VIUBENCH_DEBUG=1 shows what the core prints",
            exit_code=Exit.INVALID_RUN,
        )

    def _check(self, rendered: Any, request: Request) -> None:
        kinds = {kind(video) for video in request.videos}
        if not kinds <= self._proven:
            self._check_prompt(rendered["prompt_token_ids"], request)
            self._proven |= kinds

    def _check_prompt(self, token_ids: list[int], request: Request) -> None:
        """Proof on the first answer that the model saw our frames at our times: nothing sampled or resized again."""
        metas = [timestamps.metadata(video) for video in prompts.moving(request.videos)]
        text = self._processor.tokenizer.decode(token_ids)
        group = getattr(getattr(self._processor, "video_processor", None), "temporal_patch_size", 2)
        stamped = self.checkpoint["model_type"] in TIMESTAMPED_TYPES or timestamps.has_timestamps(text)
        problem = timestamps.missing_timestamps(text, metas, group) if stamped and metas else None
        side = self.frame_format.multiple
        for what in ("video", "image") if problem is None and stamped and side else ():
            pad = getattr(self._llm.model_config.hf_config, f"{what}_token_id", None)
            shapes = [video.pixels.shape for video in request.videos if kind(video) == what]
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
            os.environ.pop(vllm_process.BATCH_INVARIANT, None)
        if self._guard is not None:
            self._guard.communicate(b"done\n")
            self._guard = None
        self._log.close()
