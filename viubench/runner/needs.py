"""What a planned run asks of its engine at most, from its protocols and the prompts that were measured.

Example:
    engine.expect(needs_of(plan, preflight.measure(plan, cache, counter)))
"""

from __future__ import annotations

from math import isqrt

from viubench.engines.base import Needs
from viubench.errors import ViubenchError
from viubench.runner.pipeline import frame_requests
from viubench.runner.plan import Plan
from viubench.runner.preflight import Lengths
from viubench.schema import Resize
from viubench.video import sampling


def needs_of(plan: Plan, lengths: Lengths) -> Needs:
    """The needs of a run; raises ViubenchError where its protocols name two reasoning parsers: an engine has one."""
    chats = [protocol.chat for protocol in plan.protocols.values()]
    parsers = sorted({chat.reasoning_parser for chat in chats} - {""})
    if len(parsers) > 1:
        hint = "evaluate their tasks in runs of their own, or give one with --set chat.reasoning_parser=NAME"
        raise ViubenchError(f"the protocols name several reasoning parsers: {', '.join(parsers)}", hint=hint)
    requests = (request for sample in plan.samples for request in frame_requests(sample, plan))
    shown = {(resize, how.most) for *_, how, resize in requests}
    sides = [_sides(resize, frames) for resize, frames in shown]
    return Needs(
        tokens=max((length.whole for length in lengths.values()), default=0),
        video=max((length.largest for length in lengths.values()), default=0),
        answer=max((protocol.decoding.max_tokens for protocol in plan.protocols.values()), default=0),
        videos=max((len(sample.clips) for sample in plan.samples), default=1),
        frames=max((frames for _, frames in shown), default=1),
        height=max((height for height, _ in sides), default=512),
        width=max((width for _, width in sides), default=512),
        reasoning_parser="".join(parsers),
    )


def _sides(resize: Resize, frames: int) -> tuple[int, int]:
    """Height and width of a square frame of the most pixels that so many frames leave it."""
    side = isqrt(int(sampling.largest(resize, frames)))
    return resize.fixed or (side, side)
