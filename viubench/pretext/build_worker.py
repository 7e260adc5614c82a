"""The part of a build that runs in worker processes: look at one video, draw its questions, write its frames.

Example:
    >>> look(Frames(store, Path("clips"), Sampling(), Resize()), "pour.mp4").frames   # doctest: +SKIP
    287
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from viubench.errors import MediaError, ViubenchError
from viubench.pretext.generate import Drawn, Rejected, apply, draw, fill
from viubench.pretext.params import GroundParams, params_of, videos_needed
from viubench.pretext.rng import Dice, seed_of
from viubench.pretext.visibility import Looks
from viubench.schema import Clip, Item, PretextSpec, Resize, Sampling, Task, canonical_json, content_hash
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput

ATTEMPTS = 8
"""Draws tried for one item on one video before the item moves on to the next video."""


@dataclass(frozen=True)
class Frames:
    """Where frames come from, and which: the frame store, the videos' folder, sampling and size."""

    store: FrameCache
    root: Path
    sampling: Sampling
    resize: Resize

    def get(self, path: str) -> VideoInput:
        """The frames of one video; whatever fails on this file alone is a MediaError."""
        try:
            return self.store.get(Clip(path=path), self.root, self.sampling, self.resize)
        except (MediaError, ViubenchError, MemoryError):
            raise
        except Exception as error:
            raise MediaError("crashed", path, f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Looked:
    """What is known of a video whose frames are in the store."""

    path: str
    content: str
    frames: int
    duration: float


@dataclass(frozen=True)
class Order:
    """Item `k` of a task, to be drawn from one video; `attempt` is the first one not yet tried."""

    task: Task
    k: int
    attempt: int

    @property
    def pretext(self) -> PretextSpec:
        if self.task.pretext is None:
            raise ValueError(f"{self.task.task} is no pretext task")
        return self.task.pretext


@dataclass(frozen=True)
class Made:
    """A finished item: its id, the key of its question, and its line of `items.jsonl`, compressed.

    Tens of thousands of items wait in this form until the last one is there, so it is kept small.
    """

    id: str
    key: str
    packed: bytes

    @property
    def line(self) -> bytes:
        return zlib.decompress(self.packed)


@dataclass(frozen=True)
class Outcome:
    """What became of the order for item `k` of a task: the item, or None; and why each attempt before failed."""

    task: str
    k: int
    made: Made | None
    causes: tuple[str, ...]


def look(frames: Frames, path: str) -> Looked:
    """Decode the sampled frames of a video into the store; raises MediaError."""
    video = frames.get(path)
    return Looked(path, video.source, video.total, round(video.duration, 3))


def make(
    frames: Frames, path: str, other: str | None, seed: int, orders: Sequence[Order], taken: dict[str, dict[int, str]]
) -> list[Outcome]:
    """Draw a question for each order, all from one video, in the order given; raises MediaError.

    A question that an earlier item (smaller k) of the task already asks of this video is drawn again. Later items are
    not looked at: that keeps the first items of a task the same however many follow.

    Args:
        other: another video, for `swap`.
        taken: per task, k and key of the items this video already has.
    """
    videos = [frames.get(path)]
    looks = Looks(videos[0].pixels)
    outcomes = []
    for order in orders:
        if other is not None and len(videos) == 1 and videos_needed(order.pretext) == 2:
            videos.append(frames.get(other))
        known = taken.setdefault(order.task.task, {})
        asked = {key for k, key in known.items() if k < order.k}
        drawn, item_seed, causes = _drawn(order, seed, videos, other, asked, looks)
        done = None if drawn is None else _made(order.task, path, videos[0].source, item_seed, drawn)
        if done is not None:
            known[order.k] = done.key
        outcomes.append(Outcome(order.task.task, order.k, done, tuple(causes)))
    return outcomes


def _drawn(
    order: Order, seed: int, videos: Sequence[VideoInput], other: str | None, asked: set[str], looks: Looks
) -> tuple[Drawn | None, int, list[str]]:
    """The first answerable question that is new, its seed, and why each attempt before it failed."""
    causes: list[str] = []
    length = dealt_length(order, seed)
    for attempt in range(order.attempt, order.attempt + ATTEMPTS):
        item_seed = seed_of(seed, order.task.task, order.k, attempt)
        drawn = draw(order.pretext, item_seed, videos, length, looks)
        if isinstance(drawn, Rejected):
            causes.append(drawn.cause)
            if drawn.final:
                break
            continue
        if "other" in drawn.params:
            drawn.params["other"]["video"] = other
        if _key(drawn) not in asked:
            return drawn, item_seed, causes
        causes.append("duplicate")
    return None, 0, causes


def _key(drawn: Drawn) -> str:
    return content_hash([drawn.params, drawn.answer])


def _made(task: Task, path: str, content: str, seed: int, drawn: Drawn) -> Made:
    # The seed is part of what is shown (noise), and keeps items apart that ask the same of one video.
    identity = content_hash([task.task, content, seed, drawn.params, drawn.answer])
    item = Item(
        id=f"{task.task}-{identity[:12]}",
        task=task.task,
        video=path,
        cluster=content[:16],
        seed=seed,
        params=drawn.params,
        question=fill(task.question, drawn.question_fields),
        answer=drawn.answer,
    )
    line = canonical_json(item.model_dump(mode="json")).encode() + b"\n"
    return Made(item.id, _key(drawn), zlib.compress(line, 1))


def dealt_length(order: Order, seed: int) -> int | None:
    """The segment length of an item of a grounding task, in frames; None for the other kinds.

    Lengths are dealt from shuffled decks that hold each possible one once. So they are uniform over every task, and
    stay with the item when a draw is rejected: a long segment, harder to keep, is not asked about less.
    """
    params = params_of(order.pretext)
    if not isinstance(params, GroundParams):
        return None
    low, high = params.length
    size = high - low + 1
    deck = Dice(seed, order.task.task, "lengths", order.k // size).permutation(size)
    return low + deck[order.k % size]


def write_frames(frames: Frames, items: Sequence[Made], out: Path) -> int:
    """Write the shown frames of items as `out/<item id>/0000.png`, ...; those of a jigsaw's clips in `clip-1/`, ...

    A folder with frames of the right size is kept: it was put there whole. Returns how many items there are.
    """
    for item in (Item.model_validate_json(made.line) for made in items):
        sources = [item.video, *([item.params["other"]["video"]] if "other" in item.params else [])]
        shown = apply(item.params, item.seed, [frames.get(path) for path in sources])
        folder = out / item.id
        if folder.exists():
            if _holds(folder, shown):
                continue
            shutil.rmtree(folder)
        partial = out / f".{item.id}"
        shutil.rmtree(partial, ignore_errors=True)
        for number, video in enumerate(shown):
            for k, frame in enumerate(video.pixels):
                path = partial / _frame_name(len(shown), number, k)
                path.parent.mkdir(parents=True, exist_ok=True)
                if not cv2.imwrite(str(path), np.ascontiguousarray(frame[..., ::-1])):
                    raise ViubenchError(f"a frame could not be written: {path}", hint="is the disk full?")
        partial.rename(folder)
    return len(items)


def _frame_name(clips: int, clip: int, frame: int) -> str:
    return f"clip-{clip + 1}/{frame:04d}.png" if clips > 1 else f"{frame:04d}.png"


def _holds(folder: Path, shown: Sequence[VideoInput]) -> bool:
    first = cv2.imread(str(folder / _frame_name(len(shown), 0, 0)))
    return first is not None and first.shape == shown[0].pixels.shape[1:]
