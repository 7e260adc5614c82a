"""The model that is trained: answers with their log-probabilities, and the gradient through them.

Example:
    packed = policy.pack(sample, videos)
    rollouts = policy.rollout(packed, 8, seeds=[0], temperature=1.0, max_tokens=32)
    logprobs, entropy = policy.logprobs(packed, rollouts.tokens, rollouts.mask, temperature=1.0)  # [8, L] each

Prompt and video run once, and their key-value cache is expanded over the answers, in rollouts and, with gradient, in
the loss. The temperature is part of the policy (logits / temperature).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config import Finetuning
from trainer.distributed import SINGLE_PROCESS, ProcessGroup
from trainer.model import forward, fsdp, packing
from trainer.model.packing import Packed
from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError
from viubench.schema import Sample
from viubench.video.frames import VideoInput

if TYPE_CHECKING:
    from torch import Tensor

NEVER = -1e9
"""Logit of a token that is never sampled; finite, so that p log p stays 0 and no gradient is NaN."""


@dataclass
class Rollouts:
    """n sampled answers to each of B questions, question by question, padded to the longest, L tokens.

    Attributes:
        tokens: int64 [B * n, L].
        mask: bool [B * n, L], True up to and with the end token.
        logprobs: float32 [B * n, L], nats, at the rollout temperature; 0 outside `mask`.
        stopped: whether an answer ended by itself, not at the token limit.
    """

    tokens: Tensor
    mask: Tensor
    logprobs: Tensor
    texts: list[str]
    stopped: list[bool]


class Policy:
    """A Qwen3-VL or Qwen2.5-VL, opened from checkpoint folder `path` by `open`.

    `model` is what is trained: `base`, a transformers model, or a peft model around it (LoRA).
    """

    def __init__(
        self, path: Path, model: Any, processor: Any, *, keep_reference: bool, processes: ProcessGroup = SINGLE_PROCESS
    ) -> None:
        self.path, self.model, self.processor, self.processes = path, model, processor, processes
        self.base = model.get_base_model() if hasattr(model, "get_base_model") else model
        settings, tokenizer = self.base.generation_config, processor.tokenizer
        ends = settings.eos_token_id if settings.eos_token_id is not None else tokenizer.eos_token_id
        self.ends: list[int] = list(ends) if isinstance(ends, list | tuple) else [ends]
        pad = settings.pad_token_id if settings.pad_token_id is not None else tokenizer.pad_token_id
        self.pad: int = self.ends[0] if pad is None else pad
        self._reference: dict[str, Tensor] | None = None
        if keep_reference:
            self.set_reference()

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        dtype: str = "float32",
        lora: Finetuning | None = None,
        train_vision: bool = False,
        device: str = "cpu",
        keep_reference: bool = True,
        seed: int = 0,
        processes: ProcessGroup = SINGLE_PROCESS,
        use_fsdp: bool = False,
    ) -> Policy:
        """Open a checkpoint folder (or hub id) for training; code that it brings along is never run.

        `dtype` is float32 or bfloat16. `lora` trains low-rank adapters (arXiv 2106.09685), initialized from `seed`;
        `use_fsdp` shards full weights over the processes. A KL term needs `keep_reference`.

        Raises:
            ViubenchError: incomplete checkpoint, no video support, no chat template, unknown dtype, no peft.
        """
        if dtype not in ("float32", "bfloat16"):
            raise ViubenchError(f"dtype {dtype} is none of float32, bfloat16", where="dtype")
        if find_spec("torch") is None or find_spec("transformers") is None:
            raise ViubenchError("training needs torch and transformers", hint="pip install 'viubench[train]'")
        folder = Path(describe_checkpoint(str(path))["path"])
        processor = packing.open_processor(folder)
        model = _load_model(folder, dtype, device)
        if lora is None:
            model.model.visual.requires_grad_(train_vision)
        else:
            model = _add_adapters(model, lora, train_vision, seed)
        if use_fsdp and processes.size > 1:
            fsdp.shard(model)
        return cls(folder, model, processor, keep_reference=keep_reference, processes=processes)

    def trainable(self) -> list[tuple[str, Any]]:
        """Name and parameter of everything that is trained, in the model's order; of sharded weights the own shards."""
        fsdp.reshard(self.model)
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    def pack(self, sample: Sample, videos: Sequence[VideoInput]) -> Packed:
        """One question on the model's device and in its dtype; frames as they are. Raises EngineError, see `pack`."""
        packed = packing.pack(self.processor, sample, videos)
        for name, value in packed.inputs.items():
            dtype = self.base.dtype if value.is_floating_point() else None
            packed.inputs[name] = value.to(self.base.device, dtype)
        return packed

    def encode_answer(self, text: str) -> list[int]:
        """An answer's token ids with the end token."""
        return [*self.processor.tokenizer.encode(text, add_special_tokens=False), self.ends[0]]

    def pad_answers(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Answers' token ids as int64 [B, L], padded on the right, and their mask bool [B, L]; on the device."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        tokens = pad_sequence([torch.tensor(row, dtype=torch.int64) for row in rows], True, self.pad)
        mask = pad_sequence([torch.ones(len(row), dtype=torch.bool) for row in rows], True)
        return tokens.to(self.base.device), mask.to(self.base.device)

    def decode(self, tokens: Tensor, mask: Tensor) -> list[str]:
        """The texts of answers, int64 [B, L] and bool [B, L], without special tokens."""
        decode = self.processor.tokenizer.decode
        return [decode(row[kept], skip_special_tokens=True) for row, kept in zip(tokens, mask, strict=True)]

    def stack(self, rows: Sequence[Packed]) -> Packed:
        """Several questions as one batch."""
        return packing.stack(rows, self.pad)

    def rollout(self, packed: Packed, n: int, seeds: Sequence[int], temperature: float, max_tokens: int) -> Rollouts:
        """`n` answers of at most `max_tokens` to each question, drawn from the question's own seed; no gradient.

        At temperature 0 the likeliest token is taken, and log-probabilities are those of the model (temperature 1).
        """
        import torch

        fsdp.unshard(self.model)
        chosen, logprobs, masks = [], [], []
        with torch.no_grad():
            logits, cache, first = forward.prefill(self.base, packed)
            logits = logits.repeat_interleave(n, 0)
            cache.batch_repeat_interleave(n)
            draws = uniform(seeds, n, max_tokens).to(logits.device)
            ends = torch.tensor(self.ends, device=logits.device)
            running = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
            for step in range(max_tokens):
                scores = self._log_probs(logits[:, -1], temperature)
                drawn = pick(scores, draws[:, step]) if temperature else scores.argmax(-1, True)
                drawn = drawn.where(running[:, None], torch.full_like(drawn, self.pad))
                chosen.append(drawn[:, 0])
                masks.append(running)
                logprobs.append(scores.gather(1, drawn)[:, 0].where(running, torch.zeros_like(scores[:, 0])))
                running = running & ~torch.isin(drawn[:, 0], ends)
                if not running.any() or step + 1 == max_tokens:
                    break
                logits = forward.extend(self.base, packed, drawn, cache, first + step)
        tokens, mask = torch.stack(chosen, 1), torch.stack(masks, 1)
        return Rollouts(tokens, mask, torch.stack(logprobs, 1), self.decode(tokens, mask), (~running).tolist())

    def logprobs(
        self, packed: Packed, tokens: Tensor, mask: Tensor, temperature: float, shared: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Log-probability of each answer token and entropy there, in nats, float32 [B * n, L]; 0 outside `mask`.

        Args:
            tokens: int64 [B * n, L], padded on the right, n answers to each question in turn. mask: bool [B * n, L].
            temperature: that of the rollout; 0 counts as 1.
            shared: one prefill of each prompt for all its answers, instead of one for each answer.
        """
        import torch

        fsdp.unshard(self.model)
        if shared:
            copies = len(tokens) // len(packed)
            logits, cache, first = forward.prefill(self.base, packed)
            logits = logits.repeat_interleave(copies, 0)
            if tokens.shape[1] > 1 or fsdp.is_sharded(self.model):
                cache.batch_repeat_interleave(copies)
                # One token at least: sharded weights must be used equally often in every process.
                fed = tokens[:, : max(tokens.shape[1] - 1, 1)]
                later = forward.extend(self.base, packed, fed, cache, first)
                logits = torch.cat([logits, later], 1)[:, : tokens.shape[1]]
        else:
            logits = forward.full_sequence(self.base, packed, tokens)
        scores = self._log_probs(logits, temperature)
        chosen = scores.gather(-1, tokens[..., None])[..., 0]
        entropy = -(scores.exp() * scores).sum(-1)
        zeros = torch.zeros_like(chosen)
        return chosen.where(mask, zeros), entropy.where(mask, zeros)

    def set_reference(self) -> None:
        """Make the present weights the reference."""
        self._reference = {name: p.detach().clone() for name, p in self.trainable()}

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Inside, the policy has the reference weights, at first the opened checkpoint's; no gradient."""
        import torch

        if self._reference is None:
            raise ViubenchError("no reference was kept", hint="open the policy with keep_reference=True")
        self._exchange(self._reference)
        try:
            with torch.no_grad():
                yield
        finally:
            self._exchange(self._reference)

    def _exchange(self, others: dict[str, Tensor]) -> None:
        """Swap the trained weights and `others`, in place: sharded weights keep their storage."""
        for name, p in self.trainable():
            present = p.data.clone()
            p.data.copy_(others[name])
            others[name].copy_(present)

    def video_effect(self, packed: Packed, other: Packed, tokens: Tensor, mask: Tensor) -> float:
        """Largest change of an answer token's log-probability (nats) when `packed` gets the pixels of `other`."""
        import torch

        with torch.no_grad():
            own, _ = self.logprobs(packed, tokens, mask, 1.0)
            swapped, _ = self.logprobs(packing.swapped(packed, other), tokens, mask, 1.0)
        return float((own - swapped).abs().max())

    def _log_probs(self, logits: Tensor, temperature: float) -> Tensor:
        """Log-probabilities, float32 [..., vocabulary]; the placeholder tokens of images are never sampled."""
        import torch

        logits = logits.float() / (temperature or 1.0)
        barred = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        barred[[self.base.config.image_token_id, self.base.config.video_token_id]] = True
        return logits.masked_fill(barred, NEVER).log_softmax(-1)


def uniform(seeds: Sequence[int], n: int, length: int) -> Tensor:
    """Uniform numbers in [0, 1), float64 [B * n, length], from each question's seed; the same on every device."""
    import torch

    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.cat([torch.rand(n, length, dtype=torch.float64, generator=one) for one in generators])


def pick(scores: Tensor, draws: Tensor) -> Tensor:
    """The tokens, int64 [B, 1], at which cumulated exp(`scores`), [B, vocabulary], passes `draws`, in [0, 1), [B]."""
    cumulated = scores.double().exp().cumsum(-1)
    # Times the last value, which rounding may leave below 1.
    passed = cumulated <= draws[:, None] * cumulated[:, -1:]
    return passed.sum(-1, keepdim=True)


def _load_model(folder: Path, dtype: str, device: str) -> Any:
    """A Qwen vision-language model as transformers opens it; raises as `Policy.open`."""
    from transformers import AutoModelForImageTextToText

    try:
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, use_safetensors=True).to(device)
    except Exception as error:  # the user needs the reason, whatever the loader raised
        reason = " ".join(str(error).split())[:400]
        raise ViubenchError(f"transformers could not open the model: {reason}", where=str(folder)) from error
    if not all(hasattr(getattr(model, "model", None), name) for name in ("get_rope_index", "visual")):
        raise ViubenchError("no Qwen vision-language model", where=str(folder), hint="Qwen3-VL or Qwen2.5-VL")
    if device == "cpu":
        for parameter in model.parameters():
            # A file's tensors lie anywhere in memory, and the last bits of a product depend on where.
            parameter.data = parameter.data.clone()
    return model.eval()  # no dropout: rollouts and loss use the same policy


def _add_adapters(model: Any, lora: Finetuning, train_vision: bool, seed: int) -> Any:
    """`model` wrapped by peft, its weights frozen, adapters on the linear layers that `lora` names."""
    import torch

    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ViubenchError(f"LoRA needs peft: {error}", hint="pip install 'viubench[train]'") from error
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    named = [name for name in linear if train_vision or not name.startswith("model.visual.")]
    targets = [name for name in named if name.rsplit(".", 1)[-1] in lora.lora_target_modules]
    if not targets:
        known = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in named}))
        unknown = ", ".join(lora.lora_target_modules)
        raise ViubenchError(
            f"no layer is called {unknown}", where="finetuning.lora_target_modules", hint=f"known: {known}"
        )
    # A dict: peft annotates lora_alpha as int, but takes any number.
    settings: dict[str, Any] = {"r": lora.lora_r, "lora_alpha": lora.lora_alpha, "lora_dropout": 0.0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, LoraConfig(**settings, target_modules=targets)).eval()
