"""The forward passes of a policy: prefill of the prompts, answers on their cache, or full sequences without a cache.

Example:
    logits, cache, first = prefill(model, packed)          # B questions: first answer token [B, 1, V]
    cache.batch_repeat_interleave(8)                       # gradient flows through it
    later = extend(model, packed, tokens, cache, first)    # tokens [B * 8, l] -> [B * 8, l, V]
    logprobs, entropy = answer_logprobs(model, packed, tokens, mask, temperature=1.0)

`model` is a transformers Qwen3-VL or Qwen2.5-VL with its language-model head.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.model import packing
from trainer.model.packing import Packed

NEVER = -1e9  # logit of a token that is never sampled
CHUNK = 32_768  # tokens of the vocabulary whose logits are computed at once


def media(model: Any, packed: Packed, n: int = 1) -> dict[str, Any]:
    """Pixels or vision features for a forward pass over `n` copies of the prompt; cached where the tower is frozen."""
    inputs = packed.inputs
    if n > 1 or any(p.requires_grad for p in model.model.visual.parameters()):
        return packed.media(n)
    if packed.vision_features is None:
        shown = [one for one in zip(("video", "image"), packing.PIXELS, packing.GRIDS, strict=True) if one[1] in inputs]
        with torch.no_grad():
            packed.vision_features = {
                kind: getattr(model, f"get_{kind}_features")(inputs[pixels], inputs[grid], return_dict=True)
                for kind, pixels, grid in shown
            }
    return {"mm_encoder_outputs": copy.copy(packed.vision_features)}


def positions(model: Any, packed: Packed) -> tuple[Tensor, Tensor]:
    """Rotary positions of the prompts, int64 [3, B, P], and those of their first answer tokens, int64 [B]."""
    if packed.positions is None:
        names = ("input_ids", "mm_token_type_ids", *packing.GRIDS, "second_per_grid_ts")
        given = {name: packed.inputs[name] for name in names if name in packed.inputs}
        places, _ = model.model.get_rope_index(**given, attention_mask=packed.mask())
        packed.positions = (places, places.amax((0, 2)) + 1)
    return packed.positions


def prefill(model: Any, packed: Packed, *, hidden: bool = False) -> tuple[Tensor, Any, Tensor]:
    """Run the prompts: logits of the first answer tokens [B, 1, V], key-value cache, positions of those tokens [B].
    `hidden`: the states before the head [B, 1, H] in place of the logits, here and in `extend`."""
    places, first = positions(model, packed)
    inputs = {"input_ids": packed.inputs["input_ids"], "attention_mask": packed.mask(), "position_ids": places}
    inputs |= media(model, packed) | {"use_cache": True}
    if hidden:
        out = model.model(**inputs)
        return out.last_hidden_state[:, -1:], out.past_key_values, first
    out = model(**inputs, logits_to_keep=1)
    return out.logits, out.past_key_values, first


def extend(model: Any, packed: Packed, tokens: Tensor, cache: Any, first: Tensor, *, hidden: bool = False) -> Tensor:
    """Logits [B * n, l, V] after each of `tokens` [B * n, l], which follow the cached ones; the cache grows by them.
    `first`: position of the first of `tokens` of each prompt, int64 [B]."""
    rows, length = tokens.shape
    copies = rows // len(packed)
    places = first.repeat_interleave(copies)[:, None] + torch.arange(length, device=tokens.device)
    behind = cache.get_seq_length() - packed.inputs["input_ids"].shape[1] + length
    out = (model.model if hidden else model)(
        inputs_embeds=model.get_input_embeddings()(tokens),  # not ids: an image token in an answer is no image
        attention_mask=packed.mask(copies, behind),
        position_ids=places.expand(3, rows, length),
        past_key_values=cache,
        use_cache=True,
    )
    return out.last_hidden_state if hidden else out.logits


def full_sequence(model: Any, packed: Packed, tokens: Tensor, mask: Tensor) -> dict[str, Any]:
    """Inputs of one forward pass over prompt and answer of each row, without a cache, for TRL's fused head; the last L
    of its log-probabilities are the answers'. `tokens` int64 and `mask` bool, [B * n, L]."""
    copies = len(tokens) // len(packed)
    places, first = positions(model, packed)
    after = (first[:, None] + torch.arange(tokens.shape[1], device=tokens.device)).expand(3, -1, -1)
    prompts, seen = (packed.inputs[name].repeat_interleave(copies, 0) for name in ("input_ids", "attention_mask"))
    return {
        "input_ids": torch.cat([prompts, tokens], 1),
        "attention_mask": torch.cat([seen, torch.ones_like(tokens)], 1),
        "position_ids": torch.cat([places, after], 2).repeat_interleave(copies, 1),
        "labels": torch.cat([torch.full_like(prompts, -100), tokens.masked_fill(~mask, -100)], 1),
        **media(model, packed, copies),
    }


def answer_logprobs(
    model: Any, packed: Packed, tokens: Tensor, mask: Tensor, temperature: float, barred: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Log-probability of each answer token and entropy there, in nats, float32 [B * n, L]; 0 outside `mask`. `tokens`
    and `mask` are int64 and bool [B * n, L], padded on the right, n answers to each question in turn; the temperature
    is that of the rollout, 0 counts as 1; `barred` are tokens that an engine never samples, to compare with its
    log-probabilities over the others. Each prompt runs once for all its answers, and gradient flows through its cache;
    TRL's kernel takes the head in chunks, so that no [B * n, L, vocabulary] is ever held."""
    from trl.kernels import ChunkedLogProbFunction

    copies = len(tokens) // len(packed)
    states, cache, first = prefill(model, packed, hidden=True)
    states = states.repeat_interleave(copies, 0)
    if tokens.shape[1] > 1:
        cache.batch_repeat_interleave(copies)
        states = torch.cat([states, extend(model, packed, tokens[:, :-1], cache, first, hidden=True)], 1)
    weight = model.get_output_embeddings().weight
    bias = weight.new_zeros(len(weight)).index_fill(0, tokens.new_tensor(barred), NEVER) if barred else None
    logprobs, entropy, *_ = ChunkedLogProbFunction.apply(
        states[mask], weight, bias, tokens[mask], temperature or 1.0, CHUNK, None, 1.0, ("log_probs", "entropy")
    )
    zeros = torch.zeros(mask.shape, device=mask.device)
    return zeros.masked_scatter(mask, logprobs), zeros.masked_scatter(mask, entropy)


def score(
    trainer: Any, model: Any, base: Any, packed: Packed, tokens: Tensor, mask: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """`answer_logprobs` of `model`, `base` as a transformers Trainer wrapped it, whose gradients are only so summed.
    With gradient checkpointing, which keeps no cache, and with sharded weights, which are gathered once a forward pass,
    each answer has a prompt of its own; then TRL's fused head has the temperature."""
    with trainer.accelerator.autocast():
        if not (trainer.args.gradient_checkpointing or trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
            return model(packed=packed, tokens=tokens, mask=mask, temperature=temperature)  # type: ignore[no-any-return]
        out = model(**full_sequence(base, packed, tokens, mask), fused_lm_head=True)
    length = tokens.shape[1]
    entropy = out.log_probs.detach() if out.entropy is None else out.entropy  # a reference has none
    return out.log_probs[:, -length:], entropy[:, -length:]


def accept_packed(model: Any) -> None:
    """Let `model(packed=..., tokens=..., mask=..., temperature=...)` compute `answer_logprobs`: one call of the model
    as it is wrapped for several processes, which only so sees its gradients."""
    forward = model.forward

    @functools.wraps(type(model).forward)  # its signature is read to check arguments
    def either(*args: Any, packed: Packed | None = None, **inputs: Any) -> Any:
        return forward(*args, **inputs) if packed is None else answer_logprobs(model, packed, **inputs)

    model.forward = either
