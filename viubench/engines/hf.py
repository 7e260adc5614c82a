"""transformers in this process: the plain reference, one request at a time, on the CPU or the first GPU.

Example:
    async with HfEngine("tiny-qwen3-vl", {}) as engine:
        response = await engine.generate(request)
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from viubench.engines import engine_args, prompts
from viubench.engines.base import CheckpointEngine, Request, Response, allow_read_only_frames
from viubench.errors import EngineError, ViubenchError
from viubench.video import timestamps
from viubench.video.frames import VideoInput

ARGUMENTS: dict[str, engine_args.Kind] = {
    "device": str,
    "dtype": ("float32", "bfloat16", "float16"),
    "attn_implementation": str,
}


class HfEngine(CheckpointEngine):
    """Answers through AutoModelForImageTextToText.generate; code that a checkpoint brings along is never run.

    Args:
        deterministic: also take only kernels that give the same bits every time; each request is alone in any case.
        args: see `ARGUMENTS`; `device` is cpu, cuda or cuda:1.
    """

    kind: ClassVar[str] = "hf"
    library: ClassVar[str] = "transformers"

    def __init__(self, model: str, args: Mapping[str, str], *, deterministic: bool = False) -> None:
        super().__init__(model, engine_args.typed(args, ARGUMENTS, self.kind), deterministic=deterministic)
        self._model: Any = None
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        allow_read_only_frames()
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        try:
            import torch
            import transformers
            from transformers import AutoModelForImageTextToText, AutoProcessor
        except ImportError as error:
            raise ViubenchError(
                f"the hf engine cannot be loaded: {error}", hint="pip install 'viubench[cpu]' (or 'viubench[hf]')"
            ) from error
        device = self.args.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = self.args.get("dtype") or ("float32" if device == "cpu" else "bfloat16")
        self.version = transformers.__version__
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        self.settings = {**self.args, "device": device, "dtype": dtype}
        extra = {name: value for name, value in self.args.items() if name == "attn_implementation"}
        path = self.checkpoint["path"]
        try:
            self._processor = AutoProcessor.from_pretrained(path)
            model = AutoModelForImageTextToText.from_pretrained(path, dtype=dtype, use_safetensors=True, **extra)
            self._model = model.to(device).eval()
        except Exception as error:  # whatever the loaders raise, the user needs the reason, not the trace
            raise ViubenchError(
                f"transformers could not open the model: {' '.join(str(error).split())[:400]}",
                where=path,
                hint="check that this transformers knows the architecture and that the memory is enough",
            ) from error

    async def generate(self, request: Request) -> Response:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._generate, request)

    def encode(self, request: Request) -> Any:
        """Model inputs of a request; see `encode`."""
        return encode(self._processor, request.sample.question, request.videos)

    def _generate(self, request: Request) -> Response:
        import torch

        started = time.perf_counter()
        inputs = self.encode(request).to(self._model.device, self._model.dtype)
        temperature = request.decoding.temperature
        torch.manual_seed(0)
        try:
            with torch.inference_mode():
                tokens = self._model.generate(
                    **inputs,
                    do_sample=temperature > 0,
                    **({"temperature": temperature} if temperature > 0 else {}),
                    max_new_tokens=request.decoding.max_tokens,
                    repetition_penalty=1.0,  # a checkpoint's own default would not be greedy decoding
                    top_k=0,
                    top_p=1.0,
                )
        except (RuntimeError, ValueError, IndexError) as error:
            raise EngineError(f"generation failed: {' '.join(str(error).split())[:400]}") from error
        prompt_tokens = inputs["input_ids"].shape[1]
        answer = tokens[0, prompt_tokens:].tolist()
        ends = self._model.generation_config.eos_token_id
        ended = bool(answer) and answer[-1] in (ends if isinstance(ends, list) else [ends])
        return Response(
            self._processor.tokenizer.decode(answer, skip_special_tokens=True),
            "stop" if ended else "length",
            {"prompt_tokens": prompt_tokens, "completion_tokens": len(answer)},
            time.perf_counter() - started,
        )

    async def close(self) -> None:
        self._model = None


def encode(processor: Any, question: str, videos: Sequence[VideoInput]) -> Any:
    """Model inputs of one question on the CPU (transformers BatchFeature of tensors, batch of 1).

    Frames are never sampled or resized again: their sides must be multiples of patch size x merge.

    Raises:
        EngineError: frames that the processor does not take, or fewer marks in the question than videos.
    """
    moving = prompts.moving(videos)
    media: dict[str, Any] = {"do_resize": False} if videos else {}
    if moving:
        metas = [timestamps.metadata(video) for video in moving]
        described = [{name: value for name, value in meta.items() if name != "do_sample_frames"} for meta in metas]
        media |= {"videos": [video.pixels for video in moving], "video_metadata": described, "do_sample_frames": False}
    if len(moving) < len(videos):
        media["images"] = [video.pixels[0] for video in videos if video.still]
    prompt = prompts.render(processor, question, len(videos), prompts.still_places(videos))
    try:
        return processor(text=[prompt], return_tensors="pt", add_special_tokens=False, **media)
    except (ValueError, RuntimeError, TypeError, IndexError) as error:
        raise EngineError(f"the processor refused the request: {error}") from error
