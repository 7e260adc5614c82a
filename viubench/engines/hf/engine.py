"""transformers in this process: the plain reference, one request at a time, on the CPU or the first GPU.

Example:
    async with HfEngine("tiny-qwen3-vl", {}) as engine:
        response = await engine.generate(request)
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from viubench.engines import constrained, engine_args, marks, merging, processors, prompts, sight
from viubench.engines.base import CheckpointEngine, Request, Response, allow_read_only_frames
from viubench.engines.families import FAMILIES
from viubench.engines.hf import constraints, decoding, positions
from viubench.engines.processors import encode as encode
from viubench.engines.token_counts import Counter
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Decoding, ShownMedia
from viubench.video.frames import VideoInput

ARGUMENTS: dict[str, engine_args.Kind] = {
    "device": str,
    "dtype": ("float32", "bfloat16", "float16"),
    "attn_implementation": str,
    "trust_remote_code": ("true", "false"),
}

PROMPT_END = 200
"""Characters of the prompt's end that a response carries: they may have opened the reasoning."""


class HfEngine(CheckpointEngine):
    """Answers through the `generate` of whatever class transformers has for the checkpoint.

    Args:
        deterministic: also take only kernels that give the same bits every time; each request is alone in any case.
        args: see `ARGUMENTS`; `device` is cpu, cuda or cuda:1. Code that a checkpoint brings along is only run with
            `trust_remote_code`.
    """

    kind: ClassVar[str] = "hf"
    library: ClassVar[str] = "transformers"
    install: ClassVar[str] = "pip install 'viubench[cpu]' (or 'viubench[hf]')"
    lacks: ClassVar[tuple[str, ...]] = ("reasoning_budget", "reasoning_parser")
    answers = frozenset({"free", "constrained", "likelihood"})

    def __init__(
        self, model: str, args: Mapping[str, str], *, deterministic: bool = False, base_model: str | None = None
    ) -> None:
        given = engine_args.typed(args, ARGUMENTS, self.kind)
        super().__init__(model, given, deterministic=deterministic, base_model=base_model)
        self.trust = self.args.get("trust_remote_code") == "true"
        self._model: Any = None
        self._grammars: constraints.Grammars | None = None
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        return dict(ARGUMENTS)

    async def start(self) -> None:
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        allow_read_only_frames()
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        try:
            import torch
            import transformers
        except ImportError as error:
            raise ViubenchError(f"the hf engine cannot be loaded: {error}", hint=self.install) from error
        device = self.args.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = self.args.get("dtype") or ("float32" if device == "cpu" else "bfloat16")
        self.version = transformers.__version__
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        self.settings = {**self.args, "device": device, "dtype": dtype}
        extra = {name: value for name, value in self.args.items() if name == "attn_implementation"}
        path = self.checkpoint["path"]
        merging.merge(self.checkpoint, trust=self.trust)
        self._processor = processors.open_processor(path, self.trust)
        sure = self.checkpoint["model_type"] in FAMILIES
        self._showing = processors.showing(self._processor, self.family, sure)
        if not sure:
            size = self.frame_format.fixed or (8 * (self.frame_format.multiple or 32),) * 2
            self.family, self._showing = processors.asked(self._processor, self.family, self._showing, size)
        self._model = processors.open_model(path, self.trust, dtype=dtype, **extra).to(device).eval()
        positions.go_on_behind_videos(self._model)
        kept = decoding.token_ids(self._model.generation_config)
        self._model.generation_config = transformers.GenerationConfig(**kept)
        self._counter = Counter(self.checkpoint)
        self._media_ids = processors.media_ids(self._model.config)
        group = self.frame_format.group
        worth = self._counter.worth if sure else lambda _: None
        self._prover = sight.Prover("the hf engine", self.family, self._showing, worth, group)

    async def generate(self, request: Request) -> Response:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._generate, request)

    def encode(self, request: Request) -> Any:
        """Model inputs of a request; see `processors.encode`."""
        return self._encode(self.prompt(request), request.videos)

    def prompt(self, request: Request) -> str:
        """The prompt of a request, before its vision tokens are filled in."""
        self.require(request.chat)
        inserts = self._showing.asked(request.times).parts(request.videos)
        question, videos = request.sample.question, len(request.videos)
        return prompts.render(self._processor, question, videos, chat=request.chat, inserts=inserts)

    def _encode(self, prompt: str, videos: Sequence[VideoInput]) -> Any:
        return processors.encode_text(self._processor, prompt, videos, family=self.family, showing=self._showing)

    def _generate(self, request: Request) -> Response:
        import torch

        started = time.perf_counter()
        prompt = self.prompt(request)
        inputs = self._encode(prompt, request.videos)
        shown = self._prove(prompt, request, inputs)
        inputs = inputs.to(self._model.device, self._model.dtype)
        prompt_tokens, tokenizer = inputs["input_ids"].shape[1], self._processor.tokenizer
        form = self._form(request, prompt)
        torch.manual_seed(request.seed)
        with torch.inference_mode(), _faults_of_one_request():
            if request.answers == "likelihood" and request.constraint is not None:
                options = request.constraint.choices
                logprobs = constraints.option_logprobs(self._model, tokenizer, prompt, inputs, options)
                return constrained.chosen(options, logprobs, prompt_tokens, time.perf_counter() - started, shown)
            tokens = self._model.generate(
                **inputs,
                generation_config=decoding.config(request.decoding, self._model.generation_config),
                **decoding.hooks(request.decoding, tokenizer, prompt_tokens, form),
            )
        answer = tokens[0, prompt_tokens:].tolist()
        ends = self._model.generation_config.eos_token_id
        ended = bool(answer) and answer[-1] in (ends if isinstance(ends, list) else [ends])
        text, stopped = decoding.cut(marks.decoded(tokenizer, answer), request.decoding.stop)
        return Response(
            text,
            "stop" if ended or stopped else "length",
            {"prompt_tokens": prompt_tokens, "completion_tokens": len(answer)},
            time.perf_counter() - started,
            prompt_end=prompt[-PROMPT_END:],
            shown=shown,
        )

    def _form(self, request: Request, prompt: str) -> list[Any]:
        """The logits processor that holds a constrained answer to its form; none for any other."""
        if request.constraint is None:
            return []
        constrained.refuse_reasoning(request.chat, prompt)
        if request.answers == "likelihood":
            return []
        self._grammars = self._grammars or constraints.Grammars(self._model, self._processor.tokenizer)
        return [self._grammars.processor(request.constraint)]

    def _prove(self, prompt: str, request: Request, inputs: Any) -> ShownMedia | None:
        """What the model gets; ViubenchError where that is not what it was sent."""
        if not (videos := request.videos):
            return None
        seen = self._processed(inputs)
        self._prover.prompt(seen, videos, request.times)
        if self._prover.new(videos):
            self._prover.frames(
                lambda others: self._processed(self._encode(prompt, others)),
                videos,
                seen,
                lambda others: self._next_token(self._encode(prompt, others)),
            )
        return self._prover.shown(seen, videos, request.times)

    def _processed(self, inputs: Any) -> sight.Processed:
        ids = inputs["input_ids"][0].tolist()
        read = [token for token in ids if token not in self._media_ids]
        text = self._processor.tokenizer.decode(read, clean_up_tokenization_spaces=False)
        names = sorted(name for name in inputs if name.startswith("pixel_values"))
        seconds = inputs.get("second_per_grid_ts", inputs.get("video_second_per_grid", ()))
        return sight.Processed(
            text, len(ids) - len(read), tuple(inputs[name].numpy() for name in names), tuple(map(float, seconds))
        )

    def _next_token(self, inputs: Any) -> np.ndarray[Any, Any]:
        import torch

        settings = decoding.config(Decoding(max_tokens=1), self._model.generation_config)
        inputs = inputs.to(self._model.device, self._model.dtype)
        with torch.inference_mode(), _faults_of_one_request():
            first = self._model.generate(
                **inputs, generation_config=settings, output_logits=True, return_dict_in_generate=True
            )
        return torch.log_softmax(first.logits[0][0].float(), -1).cpu().numpy()  # type: ignore[no-any-return]

    async def close(self) -> None:
        self._model = self._grammars = None


@contextmanager
def _faults_of_one_request() -> Iterator[None]:
    """What `generate` raises belongs to the request that it was called for."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError) as error:
        raise EngineError(f"generation failed: {' '.join(str(error).split())[:400]}") from error
