"""Where the text after a video stands, in models that give each token three positions (time, height, width).

As the makers of Qwen2-VL and Qwen2.5-VL wrote it, and as vLLM has it, text goes on behind the largest position of the
video before it. transformers 5 goes on behind the larger side of a frame alone: where the times of a video reach
further (eight seconds, with frames of 300 pixels), the question would stand among its frames.

Example:
    go_on_behind_videos(model)  # in place; a model that is right already stays as it is
"""

from __future__ import annotations

import functools
import inspect
import itertools
from typing import Any


def go_on_behind_videos(model: Any) -> None:
    """Have the model's `get_rope_index` give the positions of the makers' code."""
    parts: list[Any] = [model, getattr(model, "model", None)]
    for part in parts:
        index = getattr(part, "get_rope_index", None)
        if index is not None and "mm_token_type_ids" in inspect.signature(index).parameters:
            part.get_rope_index = functools.partial(_index, index)


def _index(index: Any, input_ids: Any, *, mm_token_type_ids: Any, attention_mask: Any = None, **more: Any) -> Any:
    positions, deltas = index(input_ids, mm_token_type_ids=mm_token_type_ids, attention_mask=attention_mask, **more)
    for row, kinds in enumerate(mm_token_type_ids):
        read = slice(None) if attention_mask is None else attention_mask[row].bool()
        found = behind(positions[:, row, read], kinds[read])
        positions[:, row, read] = found
        deltas[row] = found.max() + 1 - found.shape[1]
    return positions, deltas


def behind(positions: Any, kinds: Any) -> Any:
    """Positions (3, tokens) moved on so that each stretch of one kind (text, picture, video) begins behind the largest
    position of the stretch before it; `kinds` is the kind of each token."""
    moved = positions.clone()
    starts = ((kinds[1:] != kinds[:-1]).nonzero().flatten() + 1).tolist()
    for start, end in itertools.pairwise([*starts, len(kinds)]):
        moved[:, start:end] += moved[:, :start].max() + 1 - positions[:, start].min()
    return moved
