"""The part of a build that runs in worker processes: scan one video, draw its questions, write its frames.

Example:
    scan(Frames(cache, Path("clips"), Sampling(), Resize()), "pour.mp4").frames
    # 287
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
from viubench.pretext.generate import Drawn, Rejected, apply, borrows, draw, fill
from viubench.pretext.rng import Rng, seed_of
from viubench.pretext.visibility import ChangeDetector
from viubench.schema import (
    Clip,
    Item,
    PretextSpec,
    Resize,
    Sampling,
    Task,
    canonical_json,
    content_hash,
)
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput

ATTEMPTS = 8
"""Draws tried for one item on one video before the item moves on to the next video."""


@dataclass(frozen=True)
class Frames:
    """Where frames come from, and which: the frame cache, the videos' folder, sampling and size."""

    cache: FrameCache
    root: Path
    sampling: Sampling
    resize: Resize

    def get(self, path: str) -> VideoInput:
        """The frames of one video; whatever fails on this file alone is a MediaError."""
        try:
            return self.cache.get(Clip(path=path), self.root, self.sampling, self.resize)
        except (MediaError, ViubenchError, MemoryError):
            raise
        except Exception as error:
            raise MediaError("crashed", path, f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class VideoFile:
    """What became of one video file. `fault` is a MediaFault, or "duplicate" for the bytes of an earlier file."""

    path: str
    content: str | None = None
    frames: int | None = None
    duration: float | None = None
    items: int = 0
    fault: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class DrawRequest:
    """Item `k` of a task, to be drawn from one video; `attempt` is the first one not yet tried."""

    task: Task
    k: int
    attempt: int

    @property
    def pretext(self) -> PretextSpec:
        assert self.task.pretext  # the build refuses other tasks
        return self.task.pretext


@dataclass(frozen=True)
class BuiltItem:
    """A finished item: its id, the key of its question, and its line of `items.jsonl`, compressed: many wait."""

    id: str
    key: str
    packed: bytes

    @property
    def line(self) -> bytes:
        return zlib.decompress(self.packed)


DrawResult = tuple[BuiltItem | None, list[str]]
"""The requested item, or None; and why each attempt before failed."""


def scan(frames: Frames, path: str) -> VideoFile:
    """Decode the sampled frames of a video into the cache; raises MediaError."""
    video = frames.get(path)
    return VideoFile(path, video.source, video.total, round(video.duration, 3))


def draw_items(
    frames: Frames,
    path: str,
    other: str | None,
    seed: int,
    requests: Sequence[DrawRequest],
    taken: dict[str, dict[int, str]],
) -> list[DrawResult]:
    """Draw a question for each request, all from one video, in the given order; raises MediaError.

    A question that an earlier item (smaller k) of the task already asks of this video is drawn again. Later items do
    not count: that keeps the first items of a task the same however many follow. `other` is another video, for `swap`;
    `taken` holds, per task, k and key of the items this video already has.
    """
    videos = [frames.get(path)]
    detector = ChangeDetector(videos[0].pixels)
    results: list[DrawResult] = []
    for request in requests:
        if other is not None and len(videos) == 1 and borrows(request.pretext):
            videos.append(frames.get(other))
        known = taken.setdefault(request.task.task, {})
        asked = {key for k, key in known.items() if k < request.k}
        item: BuiltItem | None = None
        causes: list[str] = []
        length = _dealt_length(request, seed)
        for attempt in range(request.attempt, request.attempt + ATTEMPTS):
            item_seed = seed_of(seed, request.task.task, request.k, attempt)
            drawn = draw(request.pretext, item_seed, videos, length, detector)
            if isinstance(drawn, Rejected):
                causes.append(drawn.cause)
                if drawn.final:
                    break
                continue
            built = _built(request.task, path, videos[0].source, item_seed, other, drawn)
            if built.key not in asked:
                item, known[request.k] = built, built.key
                break
            causes.append("duplicate")
        results.append((item, causes))
    return results


def _built(task: Task, path: str, content: str, seed: int, other: str | None, drawn: Drawn) -> BuiltItem:
    params = drawn.params
    if params.other:
        params = params.model_copy(update={"other": params.other.model_copy(update={"video": other})})
    data = params.model_dump(mode="json")
    # The seed is part of what is shown (noise), and keeps items apart that ask the same of one video.
    identity = content_hash([task.task, content, seed, data, drawn.answer])
    item = Item(
        id=f"{task.task}-{identity[:12]}",
        task=task.task,
        video=path,
        cluster=content[:16],
        seed=seed,
        params=params,
        question=fill(task.question, drawn.question_fields),
        answer=drawn.answer,
    )
    line = canonical_json(item.model_dump(mode="json")).encode() + b"\n"
    return BuiltItem(item.id, content_hash([data, drawn.answer]), zlib.compress(line, 1))


def _dealt_length(request: DrawRequest, seed: int) -> int | None:
    """The segment length of an item of a grounding task, in frames; None for kinds without a range of lengths.

    Lengths are dealt from shuffled decks that hold each possible one once. So they are uniform over every task, and
    stay with the item when a draw is rejected: a long segment, harder to keep, is not asked about less.
    """
    lengths: tuple[int, int] | None = getattr(request.pretext.params, "length", None)
    if lengths is None:
        return None
    low, high = lengths
    size = high - low + 1
    deck = Rng(seed, request.task.task, "lengths", request.k // size).permutation(size)
    return low + deck[request.k % size]


def write_frames(frames: Frames, items: Sequence[BuiltItem], out: Path) -> None:
    """Write the shown frames of items as `out/<item id>/0000.png`, ...; those of a jigsaw's clips in `clip-1/`, ...

    A folder with frames of the right size is kept: it was put there whole.
    """
    for item in (Item.model_validate_json(built.line) for built in items):
        sources = [item.video, *([item.params.other.video] if item.params.other else [])]
        shown = apply(item.params, item.seed, [frames.get(path) for path in sources])
        folder = out / item.id
        if folder.exists():
            first = cv2.imread(str(folder / _frame_name(len(shown), 0, 0)))
            if first is not None and first.shape == shown[0].pixels.shape[1:]:
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


def _frame_name(clips: int, clip: int, frame: int) -> str:
    return f"clip-{clip + 1}/{frame:04d}.png" if clips > 1 else f"{frame:04d}.png"
