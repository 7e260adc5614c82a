"""The model that is trained: questions as its inputs, and answers sampled from it with their log-probabilities.

Example:
    policy = Policy.open(Path("tiny-qwen3-vl"))
    packed = policy.pack(sample, videos)
    rollouts = policy.rollout(packed, 8, seeds=[0], temperature=1.0, max_tokens=32)  # logits / temperature
    logprobs, entropy = policy.logprobs(packed, rollouts.tokens, rollouts.mask, temperature=1.0)  # [8, L] each
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from trainer.config import Finetuning
from trainer.model import forward, packing
from trainer.model.packing import Packed
from viubench.engines import processors, sight
from viubench.engines.base import allow_read_only_frames
from viubench.engines.checkpoints import describe_checkpoint
from viubench.engines.hf.positions import go_on_behind_videos
from viubench.engines.token_counts import Counter
from viubench.errors import EngineError, ViubenchError
from viubench.schema import Sample
from viubench.video.frames import VideoInput


@dataclass
class Rollouts:
    """n sampled answers to each of B questions, padded to the longest, [B * n, L]: `tokens` int64, `mask` bool, True up
    to and with the end token, `logprobs` float32 in nats at the rollout temperature, 0 outside it; and whether each
    answer `stopped` by itself, not at the token limit."""

    tokens: Tensor
    mask: Tensor
    logprobs: Tensor
    texts: list[str]
    stopped: list[bool]

    def split(self, n: int) -> list[Rollouts]:
        """The n answers to each question apart, each padded to its own longest."""
        parts = []
        for start in range(0, len(self.texts), n):
            rows = slice(start, start + n)
            longest = slice(int(self.mask[rows].sum(1).max()))
            tokens, mask, logprobs = (values[rows, longest] for values in (self.tokens, self.mask, self.logprobs))
            parts.append(Rollouts(tokens, mask, logprobs, self.texts[rows], self.stopped[rows]))
        return parts


class Policy:
    """A Qwen3-VL or Qwen2.5-VL of checkpoint folder `path`: `base` is a transformers model that also takes `packed`
    (see `forward.accept_packed`); the trainer injects adapters (`peft_config`, None for full weights)."""

    def __init__(self, path: Path, base: Any, processor: Any, peft_config: Any = None, bf16: bool = False) -> None:
        self.path, self.base, self.processor, self.peft_config, self.bf16 = path, base, processor, peft_config, bf16
        counter = Counter(describe_checkpoint(str(path)))
        self.family = counter.family
        self.showing = processors.showing(processor, self.family, sure=True)
        if self.showing.medium != "video" or getattr(processor, "video_processor", None) is None:
            raise ViubenchError("the model takes no videos", where=str(path), hint="train a Qwen3-VL or Qwen2.5-VL")
        self.prover = sight.Prover("the trainer", self.family, self.showing, counter.worth, counter.format.group)
        settings, tokenizer = base.generation_config, processor.tokenizer
        ends = settings.eos_token_id if settings.eos_token_id is not None else tokenizer.eos_token_id
        self.ends: list[int] = list(ends) if isinstance(ends, list | tuple) else [ends]
        pad = settings.pad_token_id if settings.pad_token_id is not None else tokenizer.pad_token_id
        self.pad: int = self.ends[0] if pad is None else pad
        self.barred = sorted(processors.media_ids(base.config))
        forward.accept_packed(base)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        dtype: str = "float32",
        finetuning: Finetuning | None = None,
        train_vision: bool = False,
        device: str = "cpu",
        bf16: bool = False,
    ) -> Policy:
        """Open a checkpoint folder (or hub id) for training; code that it brings along is never run. `dtype` of the
        weights is float32 or bfloat16; with `bf16` they are computed with in bfloat16 (autocast). `finetuning` says
        which weights are trained, all by default. Raises ViubenchError for an incomplete checkpoint, no video support,
        no chat template, no torch, peft or bitsandbytes."""
        finetuning = finetuning or Finetuning()
        folder = Path(describe_checkpoint(str(path))["path"])
        allow_read_only_frames()
        processor = processors.open_processor(str(folder), hint="training runs none: take a model of transformers")
        model = _load_model(folder, dtype, device, four_bit=finetuning.load_in_4bit)
        go_on_behind_videos(model)
        if finetuning.type == "lora":
            return cls(folder, model, processor, _adapters(model, finetuning, train_vision), bf16)
        model.model.visual.requires_grad_(train_vision)
        return cls(folder, model, processor, bf16=bf16)

    def pack(self, sample: Sample, videos: Sequence[VideoInput]) -> Packed:
        """One question as inputs on the model's device and in its dtype; frames are neither resampled nor resized, and
        token ids are those of `viubench.engines.hf`. Raises ViubenchError where the processor refuses it."""
        how: dict[str, Any] = {"family": self.family, "showing": self.showing}
        try:
            inputs = processors.encode(self.processor, sample.question, videos, **how)
        except EngineError as error:
            said, hint = f"the model does not take a question: {error}", "build the items again"
            raise ViubenchError(said, where=f"item {sample.id}", hint=hint) from error
        return Packed((sample,), (tuple(videos),), dict(inputs.to(self.base.device, self.base.dtype)))

    def encode_answer(self, text: str) -> list[int]:
        """An answer's token ids with the end token."""
        return [*self.processor.tokenizer.encode(text, add_special_tokens=False), self.ends[0]]

    def pad_answers(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Answers' token ids as int64 [B, L], padded on the right, and their mask bool [B, L]; on the device."""
        tokens = pad_sequence([torch.tensor(row, dtype=torch.int64) for row in rows], True, self.pad)
        mask = pad_sequence([torch.ones(len(row), dtype=torch.bool) for row in rows], True)
        return tokens.to(self.base.device), mask.to(self.base.device)

    def decode(self, tokens: Tensor, mask: Tensor) -> list[str]:
        """The texts of answers, int64 [B, L] and bool [B, L], without special tokens."""
        rows = [row[kept] for row, kept in zip(tokens, mask, strict=True)]
        return [self.processor.tokenizer.decode(row, skip_special_tokens=True) for row in rows]

    def stack(self, rows: Sequence[Packed]) -> Packed:
        """Several questions as one batch."""
        return packing.stack(rows, self.pad)

    def rollout(self, packed: Packed, n: int, seeds: Sequence[int], temperature: float, max_tokens: int) -> Rollouts:
        """`n` answers of at most `max_tokens` to each question, drawn from the question's own seed; no gradient. At
        temperature 0 the likeliest token is taken, and log-probabilities are those of temperature 1. The placeholder
        tokens of images and videos are never sampled."""
        chosen, logprobs, masks = [], [], []
        # By FSDP2, or by DeepSpeed.
        sharded = hasattr(self.base, "unshard") or hasattr(next(self.base.parameters()), "ds_id")
        with torch.no_grad(), self.evaluating():
            logits, cache, first = forward.prefill(self.base, packed)
            logits = logits.repeat_interleave(n, 0)
            cache.batch_repeat_interleave(n)
            draws = uniform(seeds, n, max_tokens).to(logits.device)
            ends = torch.tensor(self.ends, device=logits.device)
            running = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
            for step in range(max_tokens):
                scores = (logits[:, -1].float() / (temperature or 1.0)).log_softmax(-1)
                allowed = scores.index_fill(1, torch.tensor(self.barred, device=scores.device), forward.NEVER)
                drawn = pick(allowed, draws[:, step]) if temperature else allowed.argmax(-1, True)
                drawn = drawn.where(running[:, None], torch.full_like(drawn, self.pad))
                chosen.append(drawn[:, 0])
                masks.append(running)
                logprobs.append(scores.gather(1, drawn)[:, 0].where(running, torch.zeros_like(scores[:, 0])))
                running = running & ~torch.isin(drawn[:, 0], ends)
                going = running.any().long()
                if sharded:  # all processes must take part in each pass
                    torch.distributed.all_reduce(going)
                if not going or step + 1 == max_tokens:
                    break
                logits = forward.extend(self.base, packed, drawn, cache, first + step)
        tokens, mask = torch.stack(chosen, 1), torch.stack(masks, 1)
        return Rollouts(tokens, mask, torch.stack(logprobs, 1), self.decode(tokens, mask), (~running).tolist())

    def logprobs(
        self, packed: Packed, tokens: Tensor, mask: Tensor, temperature: float, barred: Sequence[int] = ()
    ) -> tuple[Tensor, Tensor]:
        """`forward.answer_logprobs` of the present weights, without gradient."""
        how: dict[str, Any] = {"tokens": tokens, "mask": mask, "temperature": temperature, "barred": barred}
        with torch.no_grad(), self.evaluating():
            return self.base(packed=packed, **how)  # type: ignore[no-any-return]

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside, the model computes as in the loss, but in evaluation mode: else a checkpointed one keeps no cache."""
        training = self.base.training
        self.base.eval()
        try:
            with torch.autocast(self.base.device.type, torch.bfloat16, enabled=self.bf16):
                yield
        finally:
            self.base.train(training)


def uniform(seeds: Sequence[int], n: int, length: int) -> Tensor:
    """Uniform numbers in [0, 1), float64 [B * n, length], from each question's seed; the same on every device."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.cat([torch.rand(n, length, dtype=torch.float64, generator=one) for one in generators])


def pick(scores: Tensor, draws: Tensor) -> Tensor:
    """The tokens, int64 [B, 1], at which cumulated exp(`scores`), [B, vocabulary], passes `draws`, in [0, 1), [B]."""
    cumulated = scores.double().exp().cumsum(-1)  # its last value may be below 1 by rounding
    return (cumulated <= draws[:, None] * cumulated[:, -1:]).sum(-1, keepdim=True)


def _load_model(folder: Path, dtype: str, device: str, four_bit: bool = False) -> Any:
    """A Qwen vision-language model as transformers opens it; raises as `Policy.open`."""
    given: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "trust_remote_code": False}
    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    try:
        given |= {"quantization_config": BitsAndBytesConfig(**four)} if four_bit else {}
        model = AutoModelForImageTextToText.from_pretrained(folder, **given)
        model = model if four_bit else model.to(device)
    except Exception as error:  # the user needs the reason, whatever the loader raised
        reason = " ".join(str(error).split())[:400]
        hint = "load_in_4bit needs bitsandbytes: pip install bitsandbytes" if four_bit else None
        raise ViubenchError(f"transformers could not open the model: {reason}", where=str(folder), hint=hint) from error
    if not all(hasattr(getattr(model, "model", None), name) for name in ("get_rope_index", "visual")):
        raise ViubenchError("no Qwen vision-language model", where=str(folder), hint="Qwen3-VL or Qwen2.5-VL")
    if device == "cpu" and not four_bit:
        for parameter in model.parameters():
            parameter.data = parameter.data.clone()  # the last bits of a product depend on where in memory it lies
    return model.eval()


def _adapters(model: Any, finetuning: Finetuning, train_vision: bool) -> Any:
    """peft's configuration of adapters (arXiv 2106.09685) on the linear layers that `finetuning` names."""
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise ViubenchError(f"LoRA needs peft: {error}", hint="pip install 'viubench[train]'") from error
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    named = [name for name in linear if train_vision or not name.startswith("model.visual.")]
    targets = [name for name in named if name.rsplit(".", 1)[-1] in finetuning.lora_target_modules]
    if not targets:
        known = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in named}))
        said = f"no layer is called {', '.join(finetuning.lora_target_modules)}"
        raise ViubenchError(said, where="finetuning.lora_target_modules", hint=f"known: {known}")
    # A dict: peft annotates lora_alpha as int, but takes any number.
    settings: dict[str, Any] = {"r": finetuning.lora_r, "lora_alpha": finetuning.lora_alpha, "lora_dropout": 0.0}
    return LoraConfig(**settings, target_modules=targets)
