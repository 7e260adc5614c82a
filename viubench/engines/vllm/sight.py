"""What vLLM makes of a question before its model reads it, for the proof of sight.

Example:
    seen = processed(engine_input, tokenizer)
    seen.tokens, seen.seconds
    # (1344, (4.0,))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viubench.engines.sight import Processed

_PIXELS = ("pixel_values", "image_patches", "images")
_SECONDS = ("second_per_grid_ts", "video_second_per_grid")


def processed(rendered: Mapping[str, Any], tokenizer: Any) -> Processed | None:
    """An engine input as `sight` looks at it; None where vLLM has its videos in a cache already, where they came from
    a question that was looked at."""
    ids = list(rendered["prompt_token_ids"])
    vision = np.zeros(len(ids), bool)
    for places in rendered.get("mm_placeholders", {}).values():
        for place in places:
            mask = place.is_embed
            vision[place.offset : place.offset + place.length] = True if mask is None else mask.cpu().numpy()
    items = [item for kind in ("image", "video") for item in rendered.get("mm_kwargs", {}).get(kind, ())]
    if any(item is None for item in items):
        return None
    read = [token for token, seen in zip(ids, vision, strict=True) if not seen]
    return Processed(
        tokenizer.decode(read, clean_up_tokenization_spaces=False),
        int(vision.sum()),
        tuple(array for item in items for array in _pixels(item)),
        tuple(float(item[name].data) for item in items for name in _SECONDS if name in item),
    )


def tell_spacing(rendered: Mapping[str, Any], metas: Sequence[Mapping[str, Any]], group: int) -> None:
    """Write the seconds between groups of frames into an engine input, where the model reads them from there: some
    processors take them from a frame rate that is the same for all videos."""
    items = rendered.get("mm_kwargs", {}).get("video", ())
    for item, meta in zip(items, metas, strict=False):
        ticks = meta["frames_indices"]
        for name in _SECONDS if item is not None and len(ticks) > 1 else ():
            if name in item:
                space = group * (ticks[-1] - ticks[0]) / (len(ticks) - 1) / meta["fps"]
                item[name].data = item[name].data.float().fill_(space)


def supported_arguments(info: Any) -> frozenset[str] | None:
    """The names of arguments that the processor of vLLM's `info` takes, by themselves; None where it does not say."""
    try:
        scopes = info.supported_mm_processor_kwargs
    except Exception:  # models with a processor of their own do not all have what vLLM asks it for
        return None
    return frozenset(name for names in scopes.values() for name in names)


def pass_times_on(info: Any) -> None:
    """Have the times of frames passed on to the processor also where it does not sample frames itself: vLLM's way to
    run models it has no code of its own for leaves them out, and the processor makes some up."""
    if hasattr(type(info), "_video_needs_metadata"):
        info._video_needs_metadata = True
        vars(info).pop("data_parser", None)  # made again, it takes the times


def _pixels(item: Mapping[str, Any]) -> Iterator[NDArray[Any]]:
    """What the vision encoder is given of a video or picture."""
    for name in sorted(item):
        if name.startswith(_PIXELS):
            yield from _arrays(item[name].data)


def _arrays(data: Any) -> Iterator[NDArray[Any]]:
    if isinstance(data, list | tuple):
        for part in data:
            yield from _arrays(part)
    elif hasattr(data, "is_floating_point"):
        tensor = data.detach().cpu()
        yield (tensor.float() if tensor.is_floating_point() else tensor).numpy()
