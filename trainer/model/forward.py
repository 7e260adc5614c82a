"""The forward passes of a policy: prefill of the prompts, answers on their cache, or full sequences without a cache.

Example:
    logits, cache, first = prefill(model, packed)          # B questions: first answer token [B, 1, V]
    cache.batch_repeat_interleave(8)                       # gradient flows through it
    later = extend(model, packed, tokens, cache, first)    # tokens [B * 8, l] -> [B * 8, l, V]

`model` is a transformers Qwen3-VL or Qwen2.5-VL with its language-model head.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from trainer.model import packing
from trainer.model.packing import Packed

if TYPE_CHECKING:
    from torch import Tensor


def media(model: Any, packed: Packed, n: int = 1) -> dict[str, Any]:
    """Pixels or vision features for a forward pass over `n` copies of the prompt; cached where the tower is frozen."""
    import torch

    inputs = packed.inputs
    if n > 1 or any(p.requires_grad for p in model.model.visual.parameters()):
        return packed.media(n)
    if packed.vision_features is None:
        packed.vision_features = {}
        with torch.no_grad():
            for kind, pixels in zip(("video", "image"), packing.PIXELS, strict=True):
                if pixels in inputs:
                    encode = getattr(model, f"get_{kind}_features")
                    packed.vision_features[kind] = encode(inputs[pixels], inputs[f"{kind}_grid_thw"], return_dict=True)
    return {"mm_encoder_outputs": copy.copy(packed.vision_features)}


def positions(model: Any, packed: Packed) -> tuple[Tensor, Tensor]:
    """Rotary positions of the prompts, int64 [3, B, P], and those of their first answer tokens, int64 [B]."""
    if packed.positions is None:
        names = ("input_ids", "mm_token_type_ids", *packing.GRIDS, "second_per_grid_ts")
        given = {name: packed.inputs[name] for name in names if name in packed.inputs}
        places, _ = model.model.get_rope_index(**given, attention_mask=packed.mask())
        packed.positions = (places, places.amax((0, 2)) + 1)
    return packed.positions


def prefill(model: Any, packed: Packed) -> tuple[Tensor, Any, Tensor]:
    """Run the prompts: logits of the first answer tokens [B, 1, V], key-value cache, positions of those tokens [B]."""
    places, first = positions(model, packed)
    out = model(
        input_ids=packed.inputs["input_ids"],
        attention_mask=packed.mask(),
        position_ids=places,
        use_cache=True,
        logits_to_keep=1,
        **media(model, packed),
    )
    return out.logits, out.past_key_values, first


def extend(model: Any, packed: Packed, tokens: Tensor, cache: Any, first: Tensor) -> Tensor:
    """Logits [B * n, l, V] after each of `tokens` [B * n, l], which follow the cached ones; the cache grows by them.

    `first`: position of the first of `tokens` of each prompt, int64 [B].
    """
    import torch

    rows, length = tokens.shape
    copies = rows // len(packed)
    places = first.repeat_interleave(copies)[:, None] + torch.arange(length, device=tokens.device)
    behind = cache.get_seq_length() - packed.inputs["input_ids"].shape[1] + length
    # Embeddings, not ids: an image token in an answer is no image.
    embedded = model.get_input_embeddings()(tokens)
    logits: Tensor = model(
        inputs_embeds=embedded,
        attention_mask=packed.mask(copies, behind),
        position_ids=places.expand(3, rows, length),
        past_key_values=cache,
        use_cache=True,
    ).logits
    return logits


def full_sequence(model: Any, packed: Packed, tokens: Tensor) -> Tensor:
    """Logits [B * n, L, V] of every answer token, by one forward pass over prompt and answer of each row."""
    import torch

    rows, length = tokens.shape
    copies = rows // len(packed)
    places, first = positions(model, packed)
    after = (first[:, None] + torch.arange(length - 1, device=tokens.device)).expand(3, -1, -1)
    prompts = packed.inputs["input_ids"].repeat_interleave(copies, 0)
    logits: Tensor = model(
        input_ids=torch.cat([prompts, tokens[:, :-1]], 1),
        attention_mask=packed.mask(copies, length - 1),
        position_ids=torch.cat([places, after], 2).repeat_interleave(copies, 1),
        use_cache=False,
        logits_to_keep=length,
        **media(model, packed, copies),
    ).logits
    return logits
