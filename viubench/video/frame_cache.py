"""The frame cache: every selection of frames of a video is decoded once, then mapped from disk.

Example:
    cache = FrameCache(default_root())
    cache.get(Clip(path="pour.mp4"), Path("videos"), Sampling(), Resize()).pixels.shape
    # (48, 384, 672, 3)

One folder holds `<key>.frames` (see `viubench.video.entries`), `tables/` (probes), `contents/`
(file hashes) and `groups/` (which entries show one file). A missing entry is copied from one that holds all its frames,
if there is one.
A key hashes the file's bytes and everything that decides what is shown, so an entry is never out of date. Files appear
whole (written aside, then renamed), so that processes can share the folder.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from viubench.errors import MediaError, ViubenchError
from viubench.schema import Clip, Resize, Sampling, canonical_json
from viubench.storage import atomic, environment
from viubench.video import content_hash, decode, entries, sampling
from viubench.video.eviction import Entry, victims
from viubench.video.frames import IMAGES, STILL, Pixels, VideoInput
from viubench.video.pixels import picture, resized
from viubench.video.probe import Probe, probe
from viubench.video.readers import OWN, Readers

READER_VERSION = 1
"""Raised whenever the same file and the same settings would give other pixels or other times."""

TRIES = 3
"""How often frames are decoded that other processes evict at once."""

FACTS = ("fps", "indices", "times", "total", "duration", "reader", "source")
"""What an entry says of its pixels."""

LEFT_SECONDS = 3600.0
"""A file that has been written aside for so long was left by a writer that was killed."""

USED = {
    "even": {"frames", "middle"},
    "fps": {"frames", "fps", "min_frames"},
    "qwen": {"frames", "fps", "min_frames"},
    "indices": {"indices"},
    "times": {"times"},
}


def default_root() -> Path:
    """`frames` below $VIUBENCH_CACHE, or below the user's cache folder."""
    return environment.cache_folder("frames")


def default_bytes() -> int:
    """$VIUBENCH_CACHE_GB in bytes, 20 GB where it is not set; ViubenchError where it is no number above 0."""
    given = os.environ.get(environment.CACHE_GB, "").strip() or "20"
    with contextlib.suppress(ValueError, OverflowError):
        if (size := int(float(given) * 1e9)) > 0:
            return size
    raise ViubenchError(f"VIUBENCH_CACHE_GB is {given!r}, not a number of gigabytes above 0", hint="for example 200")


class FrameCache:
    """Frames on disk in the folder `root`: the entries together take at most `max_bytes` (`default_bytes` by default),
    but the newest one is always kept; which ones go says `viubench.video.eviction`. `reader` names the library that
    decodes (`viubench.video.readers`); `notes` says where it could not be used. `compress`: new entries take about a
    third of the room, and processor time where they are read."""

    def __init__(self, root: Path, max_bytes: int | None = None, reader: str = OWN, *, compress: bool = False) -> None:
        self.root = Path(root)
        self.compress = compress
        self.notes: set[str] = set()
        self._readers = Readers(reader, self.root)
        self._apart = {} if reader == OWN else {"library": reader}  # which notices no damage
        self.max_bytes = default_bytes() if max_bytes is None else max_bytes
        try:
            for folder in (self.root, self.root / "tables", self.root / "contents"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.root, error) from error

    def get(self, clip: Clip, root: Path, sampling: Sampling, resize: Resize) -> VideoInput:
        """The frames of a clip below `root`, decoded in this process when the cache does not hold them.

        The clip's `start` and `end` limit which frames are chosen, while numbers, times, total and duration stay those
        of the whole video. The pixels are the cache's, read-only; `key` and `source` are filled.

        Raises:
            MediaError: any fault of the clip.
            ViubenchError: the cache's folder cannot be written.
        """
        content = self.content(clip, root)
        key = self.key(content, clip, sampling, resize)
        for _ in range(TRIES):
            if (video := self.load(key)) is not None:
                return video
            self._fill(key, clip, root, sampling, resize, content)  # another process may evict it at once
        raise self.too_small()

    def too_small(self) -> ViubenchError:
        """What to raise where entries go faster than they come."""
        return ViubenchError(
            "the frame cache is too small for the videos in flight",
            where="--frame-cache-gb",
            hint=f"it keeps {self.max_bytes / 1e9:g} GB; give it more room",
        )

    def ensure_all(
        self, selections: Sequence[tuple[Clip, Sampling]], root: Path, resize: Resize
    ) -> list[str | MediaError]:
        """Make sure the cache holds several selections of one file, which is decoded once for all that are missing;
        for each its key, or its own fault."""
        outcomes: list[str | MediaError] = []
        missing: dict[str, tuple[Clip, Sampling]] = {}
        content = ""
        for clip, how in selections:
            try:
                content = self.content(clip, root)
            except MediaError as error:
                outcomes.append(error)
                continue
            key = self.key(content, clip, how, resize)
            outcomes.append(key)
            if not entries.is_whole(self._path(key)):  # its pixels are proven by who loads them
                missing[key] = (clip, how)
        together = self._together(missing, root, resize, content) if len(missing) > 1 else {}
        faults: dict[str, MediaError] = {}
        for key, (clip, how) in missing.items():
            try:
                if video := together.get(key):
                    self._write(key, video)
                else:
                    self._fill(key, clip, root, how, resize, content)
            except MediaError as error:
                faults[key] = error
        return [faults.get(one, one) if isinstance(one, str) else one for one in outcomes]

    def _together(
        self, missing: Mapping[str, tuple[Clip, Sampling]], root: Path, resize: Resize, content: str
    ) -> dict[str, VideoInput]:
        """Several selections of one file, those of one size from one reading; empty where one has a fault, which then
        shows up alone."""
        clips = [clip for clip, _ in missing.values()]
        if any(clip.frame_files for clip in clips):
            return {}
        try:
            (name, path), *_ = content_hash.located(clips[0], root)
            facts = self._probe(path, name, content)
            chosen = {
                key: sampling.choose(facts.times, facts.duration, how, clip.start, clip.end, name=name)
                for key, (clip, how) in missing.items()
            }
            videos: dict[str, VideoInput] = {}
            sizes = {key: sampling.fit(facts.height, facts.width, resize, len(one)) for key, one in chosen.items()}
            for size in dict.fromkeys(sizes.values()):
                own = {key: chosen[key] for key in chosen if sizes[key] == size}
                union = np.unique(np.concatenate(list(own.values())))
                pixels = np.empty((len(union), *size, 3), np.uint8)
                reader = self._frames(pixels, path, name, facts, union, size, content)
                videos |= {
                    key: VideoInput(
                        pixels[np.searchsorted(union, indices)],
                        **_shown(indices, facts.times, facts.fps, facts.duration, reader, content),
                    )
                    for key, indices in own.items()
                }
        except MediaError:
            return {}
        return videos

    def key(self, content: str, clip: Clip, sampling: Sampling, resize: Resize) -> str:
        """32 hex digits over the file's content and everything that decides the pixels and times shown."""
        parts = {
            "content": content,
            "bounds": [clip.start, clip.end],
            "frame_fps": clip.frame_fps if clip.frame_files else None,
            "sampling": sampling.model_dump(mode="json", include={"kind"} | USED[sampling.kind]),
            "resize": resize.model_dump(mode="json"),
            "reader": READER_VERSION,
            **self._apart,
        }
        return str(blake3(canonical_json(parts).encode()).hexdigest(length=16))

    def content(self, clip: Clip, root: Path) -> str:
        """Content hash of a clip (see `content_hash.content_hash`); raises MediaError as `content_hash.located`, and
        `changed` when `clip.content` is another one."""
        content = content_hash.content_hash(content_hash.located(clip, root), self.root / "contents")
        if clip.content is not None and clip.content != content:
            raise MediaError("changed", clip.path or clip.frame_files[0], "not the bytes the item was built from")
        return content

    def probe(self, clip: Clip, root: Path) -> Probe:
        """The measured facts of a video file below `root`, measured once. Raises as `probe.probe`."""
        (name, path), *_ = content_hash.located(clip, root)
        return self._probe(path, name, self.content(clip, root))

    def known(self, clip: Clip, root: Path, sampling: Sampling, resize: Resize) -> tuple[Probe | None, bool]:
        """What is known of a clip without reading it: its facts where they were measured before, and whether its frames
        are here. Raises MediaError for a file that is missing."""
        content = content_hash.remembered(content_hash.located(clip, root), self.root / "contents")
        if content is None:
            return None, False
        facts = None if clip.frame_files else content_hash.load_probe(self._table(content))
        return facts, self._path(self.key(content, clip, sampling, resize)).exists()

    def load(self, key: str) -> VideoInput | None:
        """The entry `key`, pixels read-only; None when it is not there or damaged (it is removed then)."""
        return entries.load(self._path(key))

    def _path(self, key: str) -> Path:
        return self.root / f"{key}.frames"

    def _group(self, content: str, size: tuple[int, ...]) -> Path:
        """Where the entries of one file at one size are noted as empty files, for frames of one may be frames of
        another; a note without an entry is harmless."""
        parts = {"content": content, "size": size, "reader": READER_VERSION, **self._apart}
        return self.root / "groups" / str(blake3(canonical_json(parts).encode()).hexdigest(length=16))

    def _table(self, content: str) -> Path:
        return self.root / "tables" / f"{content}-{READER_VERSION}.npz"

    def _probe(self, path: Path, name: str, content: str, *, count: bool = False) -> Probe:
        table = self._table(content)
        known = None if count else content_hash.load_probe(table)
        if known is None:
            known = probe(path, name=name, count=count)
            content_hash.save_probe(known, table)
        return known

    def _fill(self, key: str, clip: Clip, root: Path, how: Sampling, resize: Resize, content: str) -> None:
        """Decode a clip into the entry `key`; raises MediaError."""
        located = content_hash.located(clip, root)
        if clip.frame_files:
            self._write(key, _from_images(clip, located, how, resize, content))
            return
        name, path = located[0]
        for count in (False, True):
            facts = self._probe(path, name, content, count=count)
            try:
                chosen = sampling.choose(facts.times, facts.duration, how, clip.start, clip.end, name=name)
                size = sampling.fit(facts.height, facts.width, resize, len(chosen))
                with self._writing(key, len(chosen), size, content) as entry:
                    reader = self._frames(entry, path, name, facts, chosen, size, content)
                    entry.finish(_shown(chosen, facts.times, facts.fps, facts.duration, reader, content))
                break
            except decode.StaleTable:
                if count:
                    raise
            except MediaError as error:
                if error.fault == "too_short" and facts.faults:
                    why = f"{facts.faults} damaged packets; {error.detail}"
                    raise MediaError("corrupt", name, why) from error
                raise

    def _frames(
        self,
        out: decode.Frames,
        path: Path,
        name: str,
        facts: Probe,
        chosen: NDArray[np.int64],
        size: tuple[int, int],
        content: str,
    ) -> str:
        """Put the chosen frames there, from another entry that holds them all, else decoded; what decoded them."""
        rising = np.unique(chosen)
        if not np.array_equal(rising, chosen):  # they are decoded as they come
            pixels = np.empty((len(rising), *size, 3), np.uint8)
            reader = self._frames(pixels, path, name, facts, rising, size, content)
            for at, place in enumerate(np.searchsorted(rising, chosen)):
                out[at] = pixels[place]
            return reader
        for note in sorted(path for path in self._group(content, size).glob("*") if path.is_file()):
            held = entries.held(self._path(note.name))
            if held is None:
                note.unlink(missing_ok=True)
            elif held[0] == facts.frames and (places := sampling.places(chosen, held[1])) is not None:
                video = self.load(note.name)
                if video is not None:
                    for at, place in enumerate(places):
                        out[at] = video.pixels[place]
                    return video.reader
        reader, why = self._readers.read(out, path, facts, chosen, size, name=name)
        self.notes |= {why} - {""}
        return reader

    def _write(self, key: str, video: VideoInput) -> None:
        group = "" if video.reader in (IMAGES, STILL) else video.source
        with self._writing(key, len(video), video.pixels.shape[1:3], group) as entry:
            for at, frame in enumerate(video.pixels):
                entry[at] = frame
            entry.finish({name: getattr(video, name) for name in FACTS})

    @contextlib.contextmanager
    def _writing(self, key: str, frames: int, size: tuple[int, ...], content: str) -> Iterator[entries.EntryWriter]:
        """A new entry; its frames may be those of others of the file `content`, "" for one that is no video."""
        try:
            with entries.written(self._path(key), frames, (size[0], size[1]), self.compress) as entry:
                yield entry
            if content:
                group = self._group(content, size)
                group.mkdir(parents=True, exist_ok=True)
                (group / key).touch()
            self._evict(keep=key)
        except OSError as error:
            raise _unusable(self.root, error) from error

    def _evict(self, keep: str) -> None:
        """Remove what killed writers left, and what is too much; mapped entries stay readable."""
        kept = []
        for path in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):  # removed by another process
                if path.suffix == ".frames" and path.is_file():
                    info = path.stat()
                    kept.append(Entry(path.name, info.st_size, info.st_mtime))
                elif path.name.endswith(atomic.ASIDE) and time.time() - path.stat().st_mtime > LEFT_SECONDS:
                    path.unlink()
        for name in victims(kept, self.max_bytes, time.time(), keep=self._path(keep).name):
            (self.root / name).unlink(missing_ok=True)


def _shown(
    chosen: NDArray[np.int64], times: sampling.Seconds, fps: float, duration: float, reader: str, source: str
) -> dict[str, Any]:
    """What a `VideoInput` of the chosen frames says beside its pixels."""
    values = fps, tuple(chosen.tolist()), tuple(times[chosen].tolist()), len(times), duration, reader, source
    return dict(zip(FACTS, values, strict=True))


def _from_images(
    clip: Clip, located: list[tuple[str, Path]], how: Sampling, resize: Resize, content: str
) -> VideoInput:
    """A list of pictures at its frame rate; a single one without a rate is an image, whatever the sampling."""
    still = len(located) == 1 and clip.frame_fps is None
    fps = 1.0 if still else clip.frame_fps
    if not fps or not math.isfinite(fps) or fps < 0:
        raise ViubenchError(
            f"frame_fps is {clip.frame_fps} for the images {clip.frame_files[0]} ...",
            hint="a list of images needs the frames per second it was taken at",
        )
    times = np.arange(len(located)) / fps
    duration = len(located) / fps
    chosen = np.zeros(1, np.int64)
    if not still:
        chosen = sampling.choose(times, duration, how, clip.start, clip.end, name=located[0][0])

    def read(index: int) -> Pixels:
        name, path = located[index]
        return picture(path, name)

    height, width = read(0).shape[:2]
    size = sampling.fit(height, width, resize, len(chosen))
    pixels = np.stack([resized(read(index), size) for index in chosen.tolist()])
    return VideoInput(pixels, **_shown(chosen, times, fps, duration, STILL if still else IMAGES, content))


def _unusable(root: Path, error: OSError) -> ViubenchError:
    return ViubenchError(
        f"the frame cache cannot be written: {error.strerror or error}",
        where=error.filename or str(root),
        hint="free some space, or choose another folder with --frame-cache or VIUBENCH_CACHE",
    )
