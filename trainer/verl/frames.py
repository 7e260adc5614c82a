"""What a question shows, as a column of verl's parquet: no frames, but all that is needed to show them again.

Example:
    told = FrameSource.of(sample, questions.train).model_dump_json()
    videos(told, "/shared/frames")[0].pixels.shape   # from the frame cache, else decoded into it
    # (48, 256, 448, 3)
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Self

from viubench.pretext import generate
from viubench.runner.pipeline import frame_requests
from viubench.runner.plan import Plan
from viubench.schema import Clip, ItemParams, JigsawItem, Resize, Sample, Sampling, Strict
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput
from viubench.video.sampling import fit

KEPT = 16  # questions whose frames a process keeps for their other answers, which verl asks for one after another
_LOCKS = [threading.Lock() for _ in range(64)]


class FrameSource(Strict):
    """The frames of a pretext item's clips below `root`, and the change that makes the videos shown of them."""

    root: str
    selections: tuple[tuple[Clip, Sampling], ...]
    resize: Resize
    item: ItemParams
    seed: int

    @classmethod
    def of(cls, sample: Sample, plan: Plan) -> Self:
        """Where the frames of a training sample come from, as a run of the harness shows it."""
        item, wants = sample.pretext, frame_requests(sample, plan)
        assert item is not None, "training items are pretext items"
        root, _, _, resize = wants[0]
        chosen = tuple((clip, sampling) for _, clip, sampling, _ in wants)
        return cls(root=str(root.absolute()), selections=chosen, resize=resize, item=item, seed=sample.seed)

    @property
    def shown(self) -> int:
        """How many videos the question shows."""
        return self.item.n if isinstance(self.item, JigsawItem) else 1

    def read(self, cache: FrameCache) -> tuple[VideoInput, ...]:
        """The videos shown. Raises MediaError and ViubenchError as `FrameCache.get`."""
        root = Path(self.root)
        loaded = [cache.get(clip, root, sampling, self.resize) for clip, sampling in self.selections]
        return generate.apply(self.item, self.seed, loaded)

    def size(self, cache: FrameCache) -> tuple[int, int]:
        """Height and width of the frames in pixels, without decoding them. Raises MediaError as `FrameCache.probe`."""
        facts = cache.probe(self.selections[0][0], Path(self.root))
        return fit(facts.height, facts.width, self.resize, self.item.frames)


def missing_bytes(sources: Sequence[FrameSource], cache: FrameCache) -> int:
    """Bytes that the frame cache will grow by, at most, when all of these are read; the oldest go where it is full."""
    wanted: dict[tuple[Clip, Sampling], int] = {}
    for source in sources:
        height, width = source.size(cache)
        for clip, sampling in source.selections:
            if not cache.known(clip, Path(source.root), sampling, source.resize)[1]:
                wanted[clip, sampling] = height * width * 3 * source.item.frames
    return min(sum(wanted.values()), cache.max_bytes)


def videos(told: str, root: str) -> tuple[VideoInput, ...]:
    """The videos of a source in JSON, through the frame cache in the folder `root`. The answers to one question ask at
    once: one of them reads, the others wait for it. Raises as `FrameSource.read`."""
    with _LOCKS[hash(told) % len(_LOCKS)]:
        return _read(told, root)


@lru_cache(maxsize=KEPT)
def _read(told: str, root: str) -> tuple[VideoInput, ...]:
    return FrameSource.model_validate_json(told).read(FrameCache(Path(root)))
