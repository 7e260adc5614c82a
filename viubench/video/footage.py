"""Real clips as material: which scenes they show, and short clips cut from them for each split.

Example:
    sources = read(Path("my_clips"), FrameCache(Path("frames")))
    for split, scenes in splits({source.scene for source in sources}, seed=0).items():
        cut([s for s in sources if s.scene in scenes], Path("clips") / split, n=96, seed=0, varied=split == "train")

Two files show one scene when their names differ in the last word alone (`yard_dog_1.mp4`, `yard_dog_2.mp4`; of two
words, both are the scene), or when a frame of one looks like a frame of the other: copies, recodings and other takes
of one camera. A clip is a window of 3 to 24 seconds, 64x64 pixels, as filmed; varied ones are also cropped, mirrored,
brighter or darker, slower or faster.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.errors import MediaError, ViubenchError
from viubench.schema import Clip, Resize, Sampling
from viubench.video.discover import list_videos
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import Pixels, VideoInput
from viubench.video.synthetic import write_mp4

READ = Sampling(kind="fps", fps=8, frames=4800)
SIZE = Resize(max_pixels=192 * 108, min_pixels=1024, multiple=2)
"""Of a source: eight frames a second of its first ten minutes at most, at about three times the size of a cut clip."""

SIDE = 64
RATES = (4, 8)
SECONDS = (3, 4, 6, 8, 12, 16, 24)
"""Side of a cut clip in pixels, its frames a second and its length; few lengths, as a small model learns the times at
which frames can stand by heart."""

SPEED = (0.4, 2.5)
CROP = (0.4, 1.0)
LIGHT = (0.7, 1.3)
"""Ranges of the speed, the share of the picture's sides and the light of varied clips."""


ALIKE = 0.95
"""Correlation of two frames, 16x16 grey, of one scene: above 0.999 for recodings, below 0.85 for different scenes."""

FLAT = 8.0  # standard deviation in grey levels below which a frame shows nothing that a scene could be known by
SHARES = {"train": 0.5, "validation": 0.15, "test": 0.35}  # of the scenes


@dataclass(frozen=True)
class Source:
    """One file: its path below the folder, its frames, and the name of its scene."""

    path: str
    video: VideoInput
    scene: str


def read(folder: Path, cache: FrameCache) -> tuple[list[Source], list[str]]:
    """The videos below `folder` that can be used, each with its scene; and a line for each that cannot. Raises
    ViubenchError where there is no such folder, or no video in it."""
    sources: list[Source] = []
    unused: list[str] = []
    for path in list_videos(folder)[0]:
        try:
            video = cache.get(Clip(path=path), folder, READ, SIZE)
        except MediaError as error:
            unused.append(str(error))
            continue
        if video.duration < SECONDS[0]:
            unused.append(f"{path}: {video.duration:.1f} s are less than {SECONDS[0]:g} s")
        elif not len(thumbnails(video)):
            unused.append(f"{path}: its frames show nothing")
        else:
            sources.append(Source(path, video, name_of_scene(path)))
    return joined(sources), unused


def name_of_scene(path: str) -> str:
    """The path without its suffix, and without the last word where the name has three or more.

    >>> name_of_scene("yard/dog_ball_2.mp4"), name_of_scene("bird_01.webm")
    ('yard/dog_ball', 'bird_01')
    """
    stem = PurePosixPath(path).with_suffix("")
    words = re.split(r"([-_ .]+)", stem.name)
    return str(stem.with_name("".join(words[:-2]) if len(words) >= 5 else stem.name))


def joined(sources: Sequence[Source]) -> list[Source]:
    """The sources, those that look alike under one scene's name: the first in the alphabet."""
    looks = [thumbnails(source.video) for source in sources]
    names = [source.scene for source in sources]
    for one, look in enumerate(looks):
        for other in range(one):
            if names[one] != names[other] and (look @ looks[other].T).max() > ALIKE:
                low, high = sorted((names[one], names[other]))
                names = [low if name == high else name for name in names]
    return [replace(source, scene=name) for source, name in zip(sources, names, strict=True)]


def thumbnails(video: VideoInput) -> NDArray[np.float64]:
    """About 32 frames as 16x16 grey pictures of mean 0 and length 1, float64 [N, 256], without those that are flat."""
    chosen = video.pixels[:: max(1, len(video) // 32)]
    grey = [cv2.resize(frame.mean(axis=2), (16, 16), interpolation=cv2.INTER_AREA).ravel() for frame in chosen]
    seen = [picture - picture.mean() for picture in grey if picture.std() > FLAT]
    return np.array([picture / np.linalg.norm(picture) for picture in seen])


def splits(scenes: Collection[str], seed: int) -> dict[str, set[str]]:
    """The scenes of each split, drawn by `seed`. Raises ViubenchError for too few."""
    order = np.random.default_rng((seed, 0)).permutation(sorted(scenes)).tolist()
    ends = np.cumsum([round(share * len(order)) for share in SHARES.values()][:-1])
    parts = {name: set(order[low:high]) for name, low, high in zip(SHARES, (0, *ends), (*ends, None), strict=True)}
    if len(parts["test"]) < 3 or not all(parts.values()):
        hint = "8 scenes are the least; files whose names differ in the last word alone count as one"
        said = f"the clips show {len(scenes)} scenes, too few for training, validation and test"
        raise ViubenchError(said, where="--clips", hint=hint)
    return parts


def cut(sources: Sequence[Source], out: Path, n: int, seed: int, *, varied: bool) -> None:
    """Write `n` clips, equally many of each scene, into a folder for each: `out/yard dog/003.mp4`. Equal arguments give
    equal bytes."""
    by_scene: dict[str, list[Source]] = {}
    for source in sources:
        by_scene.setdefault(source.scene, []).append(source)
    names = sorted(by_scene)
    for index in range(n):
        scene = names[index % len(names)]
        rng = np.random.default_rng((seed, 1 + index))
        own = by_scene[scene]
        video = own[index // len(names) % len(own)].video
        fps = Fraction(int(rng.choice(RATES)))
        path = out / scene.replace("/", " ") / f"{index:04d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mp4(path, window(video, rng, int(fps), varied=varied), (SIDE, SIDE), fps)


def window(video: VideoInput, rng: np.random.Generator, fps: int, *, varied: bool) -> Iterator[Pixels]:
    """The frames of one clip, uint8 [64, 64, 3]: a stretch of the video from anywhere in it."""
    times = np.array(video.times)
    slowest, fastest = SPEED if varied else (1.0, 1.0)
    seconds = int(rng.choice([length for length in SECONDS if length * slowest <= video.duration]))
    speed = float(np.exp(rng.uniform(np.log(slowest), np.log(min(fastest, video.duration / seconds)))))
    start = rng.random() * max(0.0, video.duration - seconds * speed)
    height, width = video.pixels.shape[1:3]
    rows, columns = (round(side * rng.uniform(*CROP)) if varied else side for side in (height, width))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    mirrored, light = varied and rng.random() < 0.5, rng.uniform(*LIGHT) if varied else 1.0
    for k in range(seconds * fps):
        frame = video.pixels[np.abs(times - (start + speed * k / fps)).argmin()]
        part = frame[top : top + rows, left : left + columns]
        small = cv2.convertScaleAbs(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), alpha=light)
        yield np.ascontiguousarray(small[:, ::-1] if mirrored else small, np.uint8)
