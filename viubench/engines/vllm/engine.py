"""vLLM in this process: many requests at once, each failing on its own; frames go in as arrays with their true times.

Example:
    async with VllmEngine("tiny-qwen3-vl", {"max_model_len": "16384"}) as engine:
        response = await engine.generate(request)
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from viubench.engines import engine_args, marks, merging, processors, templates
from viubench.engines.base import CheckpointEngine, Needs, Request, Response, allow_read_only_frames
from viubench.engines.constrained import chosen, continuations, refuse_reasoning
from viubench.engines.families import FAMILIES
from viubench.engines.sight import Processed, Prover, Shape, shape
from viubench.engines.token_counts import Counter
from viubench.engines.vllm import own_processor, patches, scores
from viubench.engines.vllm import process as vllm_process
from viubench.engines.vllm.process import CoreLog, reason
from viubench.engines.vllm.prompt import arguments, as_prompt, with_media
from viubench.engines.vllm.sampling import FAILED, ReasoningParser, sampling_values
from viubench.engines.vllm.settings import ALONE, INVARIANT, default_settings, in_flight, typed
from viubench.engines.vllm.sight import pass_times_on, processed, supported_arguments, tell_spacing
from viubench.errors import EngineDead, EngineError, Exit, ViubenchError
from viubench.schema import Answers, ShownMedia
from viubench.video.frames import VideoInput
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
    install: ClassVar[str] = "pip install 'viubench[cpu]' (or 'viubench[gpu]'), or use --engine hf"
    answers: frozenset[Answers] = frozenset({"free", "constrained", "likelihood"})

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        known = vllm_process.argument_types()
        del known["model"]
        return {"max_in_flight": int, **known}

    def __init__(
        self, model: str, args: Mapping[str, str], *, deterministic: bool = False, base_model: str | None = None,
        logprobs: bool = False,
    ) -> None:  # fmt: skip
        if deterministic and (fixed := sorted(set(ALONE) & set(args))):
            raise ViubenchError(f"--deterministic settles {fixed[0]}", where="--engine-arg", hint="leave it out")
        own = {name: value for name, value in args.items() if name == "max_in_flight"}
        others = {name: value for name, value in args.items() if name not in own}
        super().__init__(model, others, deterministic=deterministic, base_model=base_model)
        self._in_flight = engine_args.typed(own, {"max_in_flight": int}, self.kind).get("max_in_flight")
        if self._in_flight is not None and self._in_flight < 1:
            raise ViubenchError(f"max_in_flight is {self._in_flight}", where="--engine-arg", hint="give at least 1")
        self.max_in_flight = self._in_flight or in_flight()
        self.logprobs = logprobs
        self._llm: Any = None
        self._log = CoreLog()
        self._close_s: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._proving = asyncio.Lock()
        self._shown: dict[Shape, ShownMedia] = {}
        self._parsers: dict[str, ReasoningParser] = {}
        self._numbers = itertools.count()

    def check(self) -> None:
        super().check()
        if self.args:  # only vLLM knows their names, and takes seconds to import
            with suppress(ImportError):  # `start` says what is wrong with it
                typed(self.args, vllm_process.argument_types())

    def expect(self, needs: Needs) -> None:
        super().expect(needs)
        self.max_in_flight = self._in_flight or in_flight(needs)

    async def start(self) -> None:
        vllm_process.set_environment()
        self._log = CoreLog()
        try:
            with self._log:
                self._open()
            await self._llm.reset_mm_cache()  # waits for vLLM's warm-up: no two threads may use a processor at once
            self._quicken()
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
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise ViubenchError(f"the vllm engine cannot be loaded: {error}", hint=self.install) from error
        self.version = vllm.__version__
        fields = vllm_process.argument_types()
        self._close_s = CPU_CLOSE_S if on_cpu else None
        given = typed(self.args, fields)
        ranks = int(given.get("tensor_parallel_size", 1))
        self.settings = default_settings(self.checkpoint, on_cpu=on_cpu, needs=self.needs, ranks=ranks) | given
        if self.deterministic:
            self.settings |= INVARIANT if invariant else ALONE
        quiet = {"use_tqdm_on_load": False, "disable_log_stats": True, "enable_log_requests": False}
        given = {"model": self.checkpoint["path"], **quiet, **self.settings}
        trust = bool(self.settings["trust_remote_code"])
        merging.merge(self.checkpoint, trust=trust)
        self._processor = own_processor.opened(self.checkpoint, trust=trust)
        others = {child.pid for child in multiprocessing.active_children()}
        with without_main():
            self._llm = AsyncLLM.from_engine_args(
                AsyncEngineArgs(**{name: value for name, value in given.items() if name in fields})
            )
        cores = [child.pid for child in multiprocessing.active_children() if child.pid not in others]
        self._guard = vllm_process.guard(cores)
        self._ready()

    def _ready(self) -> None:
        """Take the model as vLLM has it: what it can be shown, and how that is proven."""
        info = self._llm.renderer.get_mm_processor().info
        own = self._processor is None
        if own:
            self._processor = own_processor.own(info)
        known = self.checkpoint["model_type"] in FAMILIES
        self._showing = processors.showing(self._processor, self.family, known, self.kind)
        most, videos = info.supported_mm_limits.get("video", 0), 1 if self.needs is None else self.needs.videos
        if self._showing.medium == "video" and most is not None and most < videos:
            self._showing = processors.showing(self._processor, replace(self.family, vllm="images"), True, self.kind)
        if {"video": "video", "images": "image"}[self._showing.medium] not in info.supported_mm_limits:
            some = f"at most {most} videos of a question" if most else "neither videos nor pictures"
            raise ViubenchError(f"vLLM shows this model {some}", where=self.checkpoint["path"], hint="--engine hf")
        pass_times_on(info)
        # One that has a single size of frames, which is theirs already, changes none.
        fixed = own and self.frame_format.fixed is not None
        self._takes = own_processor.takes(self._processor) if fixed else supported_arguments(info)
        counter = Counter(self.checkpoint, kind=self.kind)
        counter.showing = self._showing
        group = self.frame_format.group
        self._prover = Prover(f"vLLM {self.version}", self.family, self._showing, counter.worth, group)

    def _quicken(self) -> None:
        """Take the quick way to patches where it gives the same."""
        renderer = self._llm.renderer
        told = arguments(self.family, {"video"}, self._takes)
        renderer.mm_processor = patches.quick(renderer.get_mm_processor(), told)
        self._ahead = patches.Ahead(renderer)

    async def generate(self, request: Request) -> Response:
        started = time.perf_counter()
        names = request.media_ids
        if self.deterministic:  # a video encoded for another request may have been rounded beside other videos
            names = tuple(f"{request.sample.id}-{name}" for name in names)
        prompt = as_prompt(
            self._processor,
            request.sample.question,
            request.videos,
            names,
            family=self.family,
            showing=self._showing.asked(request.times),
            chat=request.chat,
            takes=self._takes,
        )
        if request.answers == "likelihood":
            return await self._likeliest(request, prompt, started)
        parser = self._parser(request, prompt["prompt"])
        constraint = request.constraint if request.answers == "constrained" else None
        values = sampling_values(request.decoding, request.chat, request.seed, constraint)
        values["logprobs"] = 0 if self.logprobs else None
        tokenizer = self._llm.renderer.tokenizer
        marked = parser is None and bool(marks.kept(tokenizer))
        if parser is not None:
            values["skip_special_tokens"] = parser.skip_special_tokens
        elif marked:
            values["skip_special_tokens"] = False
        output, first = await self._ask(request, prompt, values, parser=parser)
        answer = output.outputs[0]
        usage = {"prompt_tokens": len(output.prompt_token_ids), "completion_tokens": len(answer.token_ids)}
        if output.num_cached_tokens is not None:
            usage["cached_tokens"] = output.num_cached_tokens
        picked = zip(answer.token_ids, answer.logprobs or (), strict=False)
        reasoning, text = "", marks.without_others(tokenizer, answer.text) if marked else answer.text
        if parser is not None:
            reasoning, text = parser.read(request.chat, list(output.prompt_token_ids), text)
        return Response(
            text,
            answer.finish_reason,
            usage,
            time.perf_counter() - started,
            reasoning=reasoning,
            prompt_end=prompt["prompt"][-PROMPT_END:],
            first_token=first,
            shown=self._known(request),
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

        async def ask(before: scores.Tokens, wanted: Sequence[int]) -> dict[int, float]:
            nonlocal tokens
            output, _ = await self._ask(request, prompt, scores.sampling_values(wanted), before)
            tokens = max(tokens, len(output.prompt_token_ids) - len(before))
            place = output.outputs[0].logprobs[0]
            return {token: float(place[token].logprob) for token in wanted}

        logprobs = await scores.option_logprobs(ask, found)
        response = chosen(options, logprobs, tokens, time.perf_counter() - started)
        return replace(response, shown=self._known(request))

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
        if self._prover.new(request.videos):
            await self._prove(request, prompt)
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
        how = renderer.default_cmpl_tok_params.with_kwargs(
            add_special_tokens=templates.adds_special_tokens(self._processor, prompt["prompt"])
        )
        parsed = parse_model_prompt(self._llm.model_config, prompt)
        try:
            async with self._ahead.of(prompt):
                (rendered,) = await renderer.render_cmpl_async([parsed], how, **more)
        except Exception as error:  # a video this model does not take, a prompt that is too long
            raise vllm_process.prompt_error(error, self.checkpoint["path"]) from error
        if self.family.positions:
            metas = [meta for _, meta in prompt.get("multi_modal_data", {}).get("video", ())]
            tell_spacing(rendered, metas, self.frame_format.group)
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

    async def _prove(self, request: Request, prompt: dict[str, Any]) -> None:
        """Before the first answer to videos of these shapes: ViubenchError where they do not reach the model."""
        async with self._proving:
            if not self._prover.new(request.videos):
                return
            loop = asyncio.get_running_loop()

            async def processing(videos: Sequence[VideoInput]) -> Processed:
                rendered = await self._render(self._with(prompt, videos), skip_mm_cache=True)
                seen = processed(rendered, self._llm.renderer.tokenizer)
                assert seen is not None, "nothing is cached"
                return seen

            def process(videos: Sequence[VideoInput]) -> Processed:
                return asyncio.run_coroutine_threadsafe(processing(videos), loop).result()

            def next_token(videos: Sequence[VideoInput]) -> NDArray[Any]:
                return asyncio.run_coroutine_threadsafe(self._next_token(self._with(prompt, videos)), loop).result()

            seen = await processing(request.videos)
            await asyncio.to_thread(self._prover.frames, process, request.videos, seen, next_token)

    def _with(self, prompt: dict[str, Any], videos: Sequence[VideoInput]) -> dict[str, Any]:
        """The same question about other frames."""
        return with_media(prompt["prompt"], videos, (), self.family, self._showing, self._takes)

    async def _next_token(self, prompt: dict[str, Any]) -> NDArray[Any]:
        wanted = scores.spread(self._llm.model_config.get_vocab_size())
        output, _ = await self._run(await self._render(prompt), scores.sampling_values(wanted))
        place = output.outputs[0].logprobs[0]
        return np.array([place[token].logprob for token in wanted])

    def _check(self, rendered: Any, request: Request) -> None:
        """Tokens and times of a prompt; ViubenchError where they are not those of the frames."""
        seen, videos = processed(rendered, self._llm.renderer.tokenizer), request.videos
        if videos and seen is not None:
            self._prover.prompt(seen, videos, request.times)
            self._shown[shape(videos)] = self._prover.shown(seen, videos)

    def _known(self, request: Request) -> ShownMedia | None:
        """What videos of this shape are to the model; whether it is told their times is up to the request."""
        shown = self._shown.get(shape(request.videos))
        return shown if shown is None or request.times else shown.model_copy(update={"times": "none"})

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
