"""Pretext items: draw one question from a video, prove it answerable, and show its frames again at load time.

Example:
    drawn = draw(GroundSpec(params=GroundParams(perturb=("mirror",))), seed=1, videos=[video])
    drawn.answer
    # '12.4-19.9'
    (shown,) = apply(drawn.params, seed=1, videos=[video])

`draw` stores everything it drew in `params`; `apply` draws nothing but the pixels of noise, so frames come out the same
on every machine, at any frame size. Tasks, difficulties and defaults: VideoSSR (arXiv 2511.06281), sections 3 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import evaluators
from viubench.errors import ViubenchError
from viubench.pretext import jigsaw, kinds
from viubench.pretext.kinds import Rejected as Rejected
from viubench.pretext.perturb import TEMPORAL, WORDS, altered, draw_strength, positions
from viubench.pretext.rng import Rng
from viubench.pretext.shapes import TRIES_LAYOUT, choose_frames, count, paint, place
from viubench.pretext.visibility import ChangeDetector
from viubench.schema import (
    Borrowed,
    Clip,
    CountItem,
    CountParams,
    CountSpec,
    GroundItem,
    GroundParams,
    Groups,
    Item,
    ItemParams,
    JigsawItem,
    JigsawParams,
    PluginItem,
    PluginSpec,
    PretextSpec,
    Sample,
    Shape,
    Task,
    content_hash,
)
from viubench.schema.samples import Fields
from viubench.tasks import templating
from viubench.video.frames import Pixels, VideoInput
from viubench.video.sampling import edges

SHUFFLES = 100
"""Orders tried before a segment is given up as too still to be shuffled."""

ALWAYS = ("start", "end", "frames")
FIELDS: dict[str, tuple[str, ...]] = {
    "ground": ("perturbation", *ALWAYS),
    "count": ALWAYS,
    "jigsaw": ("n", "clips", *ALWAYS),
}
"""Words a task's question may name in braces. perturbation: a clause that says what the altered part looks like; n: how
many clips a jigsaw has; clips: n lines "Clip 1: <video>"; start, end: the shown seconds of the video; frames: T."""


@dataclass(frozen=True)
class Drawn:
    """One question: what `apply` needs, the answer text, and the words a task's question may name in braces."""

    params: ItemParams
    answer: str
    question_fields: dict[str, str]


def draw(
    pretext: PretextSpec,
    seed: int,
    videos: Sequence[VideoInput],
    length: int | None = None,
    detector: ChangeDetector | None = None,
) -> Drawn | Rejected:
    """One question from `videos` (the source, and another for `swap`), or why this draw (perhaps not the next seed's)
    has none; a pure function of its arguments.

    The answer's distribution before rejection is uniform in length, start, counts and order. Counts are never redrawn;
    a segment or an order is rejected only together with the draw, so still stretches of a video are asked about less.

    Args:
        length: the segment's length in frames, where it is given and not drawn.
        detector: of the source's frames, kept from draw to draw where many questions are drawn from one video.
    """
    params = pretext.params
    video = videos[0]
    if len(video) < 2:
        return Rejected("too_few_frames", final=True)
    times = tuple(round(float(edge), 3) for edge in edges(np.array(video.times)))
    source = {"content": video.source, "frames": len(video), "indices": video.indices, "times": times}
    rng = Rng(seed, pretext.kind)
    detector = detector or ChangeDetector(video.pixels)
    if isinstance(pretext, PluginSpec):
        drawn = _plugin(pretext, source, videos, kinds.Scene(videos, times, detector, length, rng))
    elif isinstance(params, GroundParams):
        drawn = _ground(params, source, seed, videos, rng, length, detector)
    elif isinstance(params, CountParams):
        drawn = _count(params, source, video, rng)
    else:
        assert isinstance(params, JigsawParams)
        drawn = _jigsaw(params, source, video, rng, detector)
    if isinstance(drawn, Drawn):
        drawn.question_fields.update(start=f"{times[0]:.1f}", end=f"{times[-1]:.1f}", frames=str(len(video)))
    return drawn


def least_frames(pretext: PretextSpec) -> int:
    """Frames of a video that every question needs, at the least."""
    params = pretext.params
    if isinstance(params, GroundParams):
        shortest = params.length[0] + 1
        fast = params.fast[0] * (params.length[0] - 1) + 1
        return max(shortest, fast) if params.perturb == ("fast",) else shortest
    if isinstance(params, CountParams):
        most = params.max_frames
        return max(most + (most - 1) * params.min_gap, most * len(params.shapes))
    if isinstance(params, JigsawParams):
        return params.n
    return kinds.get(pretext.kind).least_frames(params)


def fields(pretext: PretextSpec) -> tuple[str, ...]:
    """The words that a task's question may name in braces."""
    return (*kinds.get(pretext.kind).fields, *ALWAYS) if isinstance(pretext, PluginSpec) else FIELDS[pretext.kind]


def borrows(pretext: PretextSpec) -> bool:
    """Whether questions may need a second video."""
    if isinstance(pretext, PluginSpec):
        return kinds.get(pretext.kind).other
    return isinstance(pretext.params, GroundParams) and "swap" in pretext.params.perturb


def _plugin(
    pretext: PluginSpec, source: dict[str, Any], videos: Sequence[VideoInput], scene: kinds.Scene
) -> Drawn | Rejected:
    kind = kinds.get(pretext.kind)
    if kind.other and len(videos) < 2:
        return Rejected("no_other_video")
    drawn = kind.draw(pretext.params, scene)
    if isinstance(drawn, Rejected):
        return drawn
    other = _borrowed(videos[1]) if kind.other else None
    params = PluginItem(**source, kind=pretext.kind, other=other, **drawn.drawn)
    return Drawn(params, drawn.answer, dict(drawn.fields))


def _borrowed(video: VideoInput) -> Borrowed:
    return Borrowed(content=video.source, indices=video.indices)


def _ground(
    params: GroundParams,
    source: dict[str, Any],
    seed: int,
    videos: Sequence[VideoInput],
    rng: Rng,
    length: int | None,
    detector: ChangeDetector,
) -> Drawn | Rejected:
    total = len(videos[0])
    name = rng.choice(params.perturb)
    length = length or rng.integer(*params.length)
    if length >= total:
        return Rejected("too_few_frames")
    start = rng.integer(0, total - length)
    segment = (start, start + length)
    strength = draw_strength(name, params, rng)
    if name == "swap" and len(videos) < 2:
        return Rejected("no_other_video")
    if name == "shuffle":
        if (order := _visible_order(segment, rng, detector)) is None:
            return Rejected("no_visible_order")
        strength = {"order": order}
    if name == "fast" and strength["factor"] * (length - 1) >= total:
        return Rejected("too_few_frames")
    low, high = (f"{source['times'][edge]:.1f}" for edge in segment)
    if float(low) >= float(high):
        return Rejected("too_short_in_time")
    other = _borrowed(videos[1]) if name == "swap" else None
    drawn = GroundItem(**source, other=other, perturb=name, length=params.length, segment=segment, strength=strength)
    return _unseen(drawn, seed, videos, detector) or Drawn(drawn, f"{low}-{high}", {"perturbation": WORDS[name]})


def _unseen(params: GroundItem, seed: int, videos: Sequence[VideoInput], detector: ChangeDetector) -> Rejected | None:
    """Why the perturbation cannot be seen, or None. Every frame must look different from the one it replaces.

    In slow motion, fast motion and stutter some frames show their own picture; of them it is asked that the segment's
    last frame and its first moved one differ, and at least half of the moved ones.
    """
    start = params.segment[0]
    if params.perturb not in TEMPORAL:
        changed = detector.changed(start, _altered(params, seed, videos))
        return None if changed.all() else Rejected("not_visible")
    places = positions(params.perturb, len(videos[0]), params.segment, params.strength)
    changed = np.array([detector.moved(start + k, place) for k, place in enumerate(places)])
    moved = [k for k, place in enumerate(places) if place != start + k]
    if not moved or not changed[moved[0]] or not changed[-1]:
        return Rejected("ends_not_visible")
    if changed[moved].sum() * 2 < len(moved):
        return Rejected("not_visible")
    return None


def _visible_order(segment: tuple[int, int], rng: Rng, detector: ChangeDetector) -> list[int] | None:
    """An order in which no frame keeps its place and every one looks different from the one that was there; None too
    where the frames' own order is as good as any, as that of a film with a shot for each frame."""
    start, stop = segment
    frames = range(start, stop)
    if not all(any(detector.moved(one, other) for other in frames if other != one) for one in frames):
        return None  # a frame that looks like all others has no place to go: no need to try
    if not detector.in_sequence(start, stop):
        return None
    for _ in range(SHUFFLES):
        order = rng.permutation(stop - start)
        if all(source != k and detector.moved(start + k, start + source) for k, source in enumerate(order)):
            return order
    return None


def _count(params: CountParams, source: dict[str, Any], video: VideoInput, rng: Rng) -> Drawn | Rejected:
    most = params.max_frames
    if least_frames(CountSpec(params=params)) > len(video):
        return Rejected("too_few_frames", final=True)
    counts = [
        [rng.integer(1, params.max_instances) for _ in range(rng.integer(params.min_frames, most))]
        for _ in params.shapes
    ]
    for _ in range(TRIES_LAYOUT):
        if (shapes := _layout(params, counts, video, rng)) is not None:
            drawn = CountItem(
                **source,
                min_frames=params.min_frames,
                max_frames=params.max_frames,
                max_instances=params.max_instances,
                kinds=params.shapes,
                canvas=video.pixels.shape[1:3],
                shapes=tuple(shapes),
            )
            return Drawn(drawn, ",".join(map(str, count(shapes))), {})
    return Rejected("no_place_for_shapes")


def _layout(params: CountParams, counts: list[list[int]], video: VideoInput, rng: Rng) -> list[Shape] | None:
    """All shapes of a counting item by frame, or None where no frames or places fit."""
    chosen = choose_frames(len(video), [len(instances) for instances in counts], params.min_gap, rng)
    if chosen is None:
        return None
    shapes: list[Shape] = []
    for kind, frames, instances in zip(params.shapes, chosen, counts, strict=True):
        for frame, many in zip(frames, instances, strict=True):
            placed = place(kind, frame, many, video.pixels[frame], params, rng)
            if not placed:
                return None
            shapes += placed
    return sorted(shapes, key=lambda shape: shape.frame)


def _jigsaw(
    params: JigsawParams, source: dict[str, Any], video: VideoInput, rng: Rng, detector: ChangeDetector
) -> Drawn | Rejected:
    n = params.n
    if len(video) < n:
        return Rejected("too_few_frames", final=True)
    if jigsaw.look_alike(detector, len(video), n):
        return Rejected("clips_look_alike", final=True)
    order = rng.permutation(n)
    clips = "\n".join(f"Clip {k + 1}: <video>" for k in range(n))
    return Drawn(JigsawItem(**source, n=n, order=tuple(order)), jigsaw.answer(order), {"n": str(n), "clips": clips})


def fill(question: str, fields: Mapping[str, str]) -> str:
    """`question` with each {word} replaced by its field; a ViubenchError where it is none. Other braces stay."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in fields:
            raise ViubenchError(f"the question names an unknown field: {match[0]}", hint=f"known: {', '.join(fields)}")
        return fields[match[1]]

    return re.sub(r"\{([a-z_]+)\}", value, question)


def apply(params: ItemParams, seed: int, videos: Sequence[VideoInput]) -> tuple[VideoInput, ...]:
    """The videos a model is shown for an item: one, or n clips of a jigsaw, each on a clock of its own.

    `times` of a grounding or counting video stay what they were; `indices` say which source frame each place holds (of
    the other video for swapped places). Where not all frames are `shown`, those are left out last.

    Raises:
        ValueError: `videos` are not those the item was drawn from (another number of frames or videos).
    """
    video = videos[0]
    if len(video) != params.frames:
        raise ValueError(f"the item was drawn from {params.frames} frames, not {len(video)}")
    if isinstance(params, JigsawItem):
        return jigsaw.clips(video, params.order, (params.times[-1] - params.times[0]) / params.frames)
    indices = list(video.indices)
    if isinstance(params, CountItem):
        pixels = paint(video.pixels, params.shapes, params.canvas)
    elif isinstance(params, PluginItem):
        shown = kinds.get(params.kind).show(params.drawn, seed, videos)
        pixels, indices = shown.pixels, list(shown.indices)
    else:
        start, stop = params.segment
        pixels = video.pixels.copy()
        pixels[start:stop] = _altered(params, seed, videos)
        if params.perturb in TEMPORAL:
            places = positions(params.perturb, len(video), params.segment, params.strength)
            indices[start:stop] = [video.indices[place] for place in places]
        elif params.perturb == "swap":
            indices[start:stop] = videos[1].indices[start:stop]
    key = content_hash([video.key, seed, params.model_dump(mode="json")]) if video.key else ""
    if params.shown:
        places = list(params.shown)
        pixels, indices = pixels[places], [indices[place] for place in places]
    times = tuple(video.times[place] for place in params.places)
    return (replace(video, pixels=pixels, indices=tuple(indices), times=times, key=key),)


def _altered(params: GroundItem, seed: int, videos: Sequence[VideoInput]) -> Pixels:
    """The frames of a grounding item's segment."""
    other = videos[1].pixels if len(videos) > 1 else None
    return altered(videos[0].pixels, params.perturb, params.segment, params.strength, seed, other)


def sample_of(item: Item, task: Task) -> Sample:
    """The question an item puts to a model: its clips by content hash, how they are changed, and its target.

    Raises:
        ViubenchError: the answer is none of the task's evaluator, or `group_by` names a field the params do not have.
    """
    evaluator = evaluators.get(task.evaluator.name, **task.evaluator.params)
    try:
        target = evaluator.target(item.answer)
    except ValueError as error:
        message = f"the answer {item.answer!r} is none of {task.evaluator.name}: {error}"
        raise ViubenchError(message, where=f"item {item.id}") from None
    clips = [Clip(path=item.video, content=item.params.content or None)]
    if other := item.params.other:
        clips.append(Clip(path=other.video, content=other.content or None))
    params = item.params.model_dump(mode="json")
    groups: Groups = {key: templating.text(text, params, what=f"group_by.{key}") for key, text in task.group_by.items()}
    return Sample(
        id=item.id,
        task=item.task,
        cluster=item.cluster,
        clips=tuple(clips),
        question=item.question,
        target=target,
        answer_text=item.answer,
        params=Fields(item.params),
        pretext=item.params,
        seed=item.seed,
        groups=groups,
    )
