"""The forward passes of a policy: the prompt once, answers behind its cache, or prompt and answers the plain way.

Example:
    logits, cache, position = prompt(model, packed)        # first answer token: [1, 1, V]
    cache.batch_repeat_interleave(8)                       # gradient flows through it
    later = go_on(model, tokens, cache, position)          # tokens [8, l] -> [8, l, V]

`model` is a transformers Qwen3-VL or Qwen2.5-VL with its language-model head.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from trainer import packing
from trainer.packing import Packed

if TYPE_CHECKING:
    from torch import Tensor


def vision_frozen(model: Any) -> bool:
    """Whether nothing in the vision tower is trained."""
    return not any(p.requires_grad for p in model.model.visual.parameters())


def media(model: Any, packed: Packed, n: int = 1) -> dict[str, Any]:
    """The pictures for a forward over `n` copies of the prompt: encoded once where the tower is frozen."""
    import torch

    inputs = packed.inputs
    if n > 1 or not vision_frozen(model):
        grids = ("video_grid_thw", "image_grid_thw")
        return {name: torch.cat([inputs[name]] * n) for name in (*packing.PIXELS, *grids) if name in inputs}
    if packed.seen is None:
        packed.seen = {}
        with torch.no_grad():
            for kind, pixels in zip(("video", "image"), packing.PIXELS, strict=True):
                if pixels in inputs:
                    encode = getattr(model.model, f"get_{kind}_features")
                    packed.seen[kind] = encode(inputs[pixels], inputs[f"{kind}_grid_thw"], return_dict=True)
    return {"mm_encoder_outputs": copy.copy(packed.seen)}


def positions(model: Any, packed: Packed) -> tuple[Tensor, int]:
    """Rotary positions of the prompt, int64 [3, 1, P], and that of the first answer token, equal on all axes.

    Always given to the model, which otherwise counts on from whatever prompt it happened to see last.
    """
    names = ("input_ids", "mm_token_type_ids", "image_grid_thw", "video_grid_thw", "second_per_grid_ts")
    given = {name: packed.inputs[name] for name in names if name in packed.inputs}
    places, _ = model.model.get_rope_index(**given)
    return places, int(places.max()) + 1


def prompt(model: Any, packed: Packed) -> tuple[Tensor, Any, int]:
    """Run the prompt: logits of the first answer token [1, 1, V], key-value cache, position of that token."""
    places, first = positions(model, packed)
    out = model(
        input_ids=packed.inputs["input_ids"],
        position_ids=places,
        use_cache=True,
        logits_to_keep=1,
        **media(model, packed),
    )
    return out.logits, out.past_key_values, first


def go_on(model: Any, tokens: Tensor, cache: Any, position: int) -> Tensor:
    """Logits [n, l, V] after each of `tokens` [n, l], which follow the cached ones; the cache grows by them."""
    import torch

    rows, length = tokens.shape
    places = torch.arange(position, position + length, device=tokens.device).expand(3, rows, length)
    # Embeddings, not ids: an answer holds no pictures, whatever it says.
    embedded = model.get_input_embeddings()(tokens)
    logits: Tensor = model(inputs_embeds=embedded, position_ids=places, past_key_values=cache, use_cache=True).logits
    return logits


def plain(model: Any, packed: Packed, tokens: Tensor) -> Tensor:
    """Logits [n, L, V] of every answer token by one forward over n copies of prompt and answer."""
    import torch

    rows, length = tokens.shape
    places, first = positions(model, packed)
    after = torch.arange(first, first + length - 1, device=tokens.device).expand(3, 1, length - 1)
    logits: Tensor = model(
        input_ids=torch.cat([packed.inputs["input_ids"].expand(rows, -1), tokens[:, :-1]], 1),
        position_ids=torch.cat([places, after], 2).expand(-1, rows, -1),
        use_cache=False,
        logits_to_keep=length,
        **media(model, packed, rows),
    ).logits
    return logits
