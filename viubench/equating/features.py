"""What pretext items are compared by: numbers of each item whose distribution the recipe fixes.

Example:
    >>> item = JigsawItem(content="", frames=4, indices=(0, 1, 2, 3), times=(0, 1, 2, 3, 4), n=2, order=(1, 0))
    >>> features(item)
    {'place of the first clip': 1.0, 'clips in place': 0.0}
"""

from __future__ import annotations

from collections import Counter

from viubench.errors import ViubenchError
from viubench.pretext import jigsaw
from viubench.pretext.shapes import count
from viubench.schema import KINDS, CountItem, GroundItem, ItemParams, JigsawItem


def truth(item: ItemParams) -> str:
    """The true answer, from what was drawn and not from what the item says it is."""
    if isinstance(item, JigsawItem):
        return jigsaw.answer(item.order)
    if isinstance(item, CountItem):
        return ",".join(map(str, count(item.shapes)))
    if not isinstance(item, GroundItem):
        raise _unknown(item)
    return "-".join(f"{item.times[edge]:.1f}" for edge in item.segment)


def features(item: ItemParams) -> dict[str, float]:
    """Names and values; the same names for all items of a task."""
    if isinstance(item, JigsawItem):
        kept = sum(place == clip for place, clip in enumerate(item.order))
        return {"place of the first clip": float(item.order.index(0)), "clips in place": float(kept)}
    if isinstance(item, CountItem):
        counts = Counter(shape.shape for shape in item.shapes)
        size = sum(shape.size for shape in item.shapes) / max(len(item.shapes), 1)
        frames = len({shape.frame for shape in item.shapes})
        return {
            **{f"{kind}s": float(counts[kind]) for kind in KINDS},
            "frames with shapes": float(frames),
            "size": size,
        }
    if not isinstance(item, GroundItem):
        raise _unknown(item)
    start, stop = item.segment
    length = stop - start
    found = {"length": float(length), "place": start / max(item.frames - length, 1)}
    return found | {name: float(value) for name, value in item.strength.items() if isinstance(value, int | float)}


def _unknown(item: ItemParams) -> ViubenchError:
    """What to tell of items of a plug-in: how they are drawn is not known here."""
    hint = "leave its tasks out: grounding, counting and jigsaw can be"
    return ViubenchError(f"items of kind {item.kind} cannot be compared", hint=hint)
