"""What an audit needs of one video file: hashes of some frames, tags, bits, and whether a clock is burnt in.

Example:
    facts(cache, Path("videos"), Clip(path="pour.mp4"), spans=[(2.0, 5.0)]).tags["encoder"]   # 'Lavf61.7.100'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.audit.clocks import has_clock
from viubench.schema import Clip, Resize, Sampling
from viubench.video.container import opened, packets
from viubench.video.content_hash import located
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels

FRAMES = Sampling(kind="fps", fps=1.0, frames=16, min_frames=8)
"""One a second, so that the seconds of a clock change from each to the next; a long video's are spread evenly."""

SIZE = Resize(max_pixels=448 * 256)

FLAT = 8.0
"""Standard deviation in grey levels below which a frame is one colour, and its hash says nothing."""

CHANGING = ("creation_time", "duration", "number_of_frames", "number_of_bytes", "statistics")
"""Tags that are a file's own number: never the same in two files, so no sign of an answer."""


@dataclass(frozen=True)
class VideoFacts:
    """Of one file: the hashes of its frames that are not flat, its tags, sizes, and where bits went.

    Attributes:
        content: hash of the file's bytes.
        tags: of container and stream, with codec, size and rate; texts.
        bits: per pixel of a frame, on average.
        spans: for each asked interval, the bits a second within it over those outside; 0 where one is empty.
        clock: whether a region that changes like a clock's digits is burnt in.
    """

    content: str
    hashes: NDArray[np.float32]
    tags: dict[str, str] = field(default_factory=dict)
    bits: float = 0.0
    spans: tuple[float, ...] = ()
    clock: bool = False


def facts(cache: FrameCache, root: Path, clip: Clip, spans: Sequence[tuple[float, float]] = ()) -> VideoFacts:
    """What is known of a file; raises MediaError."""
    whole = Clip(path=clip.path)
    video = cache.get(whole, root, FRAMES, SIZE)
    ((name, path),) = located(whole, root)
    tags, sizes = _read(path, name)
    pixels = np.prod(video.pixels.shape[1:3]) if not tags else int(tags["width"]) * int(tags["height"])
    return VideoFacts(
        content=video.source,
        hashes=hashes(video.pixels),
        tags=tags,
        bits=8 * float(sizes[:, 1].sum()) / max(len(sizes) * int(pixels), 1),
        spans=tuple(_share(sizes, span) for span in spans),
        clock=has_clock(video.pixels),
    )


def hashes(pixels: Pixels) -> NDArray[np.float32]:
    """[K, 64] of -1 and 1, the perceptual hash of each frame [T, H, W, 3] that is not one colour: whether each of its
    64 lowest frequencies, in a grey picture of 32 x 32, is above their median (the pHash of Zauner, 2010)."""
    found = []
    for frame in pixels:
        grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
        if grey.std() < FLAT:
            continue
        low = cv2.dct(grey.astype(np.float32))[:8, :8].ravel()
        found.append(np.where(low > np.median(low[1:]), np.float32(1), np.float32(-1)))
    return np.array(found, np.float32).reshape(-1, 64)


def _read(path: Path, name: str) -> tuple[dict[str, str], NDArray[np.float64]]:
    """The tags of a file, and (seconds, bytes) of each packet of its video."""
    with opened(path, name) as (container, stream):
        said = {**container.metadata, **stream.metadata}
        tags = {key.casefold(): str(value).strip() for key, value in said.items() if str(value).strip()}
        codec = stream.codec_context
        tags |= {"codec": codec.name, "width": str(codec.width), "height": str(codec.height)}
        tags |= {"container": str(container.format.name), "rate": f"{float(stream.average_rate or 0):.3g}"}
        made = [
            (float(packet.pts * packet.time_base), float(packet.size))
            for packet in packets(container, stream)
            if packet.pts is not None and packet.size
        ]
    return tags, np.array(made or [(0.0, 0.0)])


def _share(sizes: NDArray[np.float64], span: tuple[float, float]) -> float:
    """Bytes a packet within an interval over those outside."""
    within = (sizes[:, 0] >= span[0]) & (sizes[:, 0] < span[1])
    if within.all() or not within.any() or not (outside := sizes[~within, 1].mean()):
        return 0.0
    return float(sizes[within, 1].mean() / outside)
