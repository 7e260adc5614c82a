"""One entry of the frame cache: a line of JSON behind its hash, then the pixels, written frame by frame; raw ones are
mapped, compressed ones (`packing`) are read into memory.

Example:
    with written(path, 2, (352, 640)) as entry:
        entry[0], entry[1] = first, second
        entry.finish({"fps": 25.0, "indices": (0, 25), "times": (0.0, 1.0), "total": 50, "duration": 2.0})
    load(path).pixels.shape
    # (2, 352, 640, 3)
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from blake3 import blake3

from viubench.storage import atomic
from viubench.video import content_hash, packing
from viubench.video.frames import Pixels, VideoInput

LINE, LINE_A_FRAME = 2048, 64
"""Bytes kept free for the line of JSON: for the file's facts, and for the number and the time of each frame."""


class EntryWriter:
    """Takes the frames of an entry in order; the first one again begins anew."""

    def __init__(self, file: BinaryIO, frames: int, size: tuple[int, int], compress: bool = False) -> None:
        self.file, self.shape, self.compress = file, (frames, *size, 3), compress
        self._packed: list[int] = []
        self._line = LINE + frames * LINE_A_FRAME
        self._next = 0
        self._hash = blake3()

    def __setitem__(self, at: int, frame: Pixels) -> None:
        if at == 0:
            self._next, self._hash, self._packed = 0, blake3(), []
            self.file.seek(self._line)
        if at != self._next or frame.shape != self.shape[1:]:
            raise RuntimeError(f"frame {at} of shape {frame.shape} where {self._next} of {self.shape[1:]} belongs")
        data: memoryview | bytes = np.ascontiguousarray(frame).data.cast("B")
        self._hash.update(data)
        if self.compress:
            data = packing.packed(frame)
            self._packed.append(len(data))
        self.file.write(data)
        self._next += 1

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write the line: what a `VideoInput` says beside its pixels."""
        if self._next != self.shape[0]:
            raise RuntimeError(f"{self._next} of {self.shape[0]} frames")
        own: dict[str, Any] = {"shape": self.shape, "checksum": self._hash.hexdigest(length=16)}
        own |= {"packed": self._packed} if self.compress else {}
        head = json.dumps({**facts, **own}).encode()
        room = self._line - len(content_hash.sealed(b"")) - 1
        if len(head) > room:
            raise RuntimeError(f"a line of {len(head)} bytes")
        self.file.seek(0)
        self.file.write(content_hash.sealed(head.ljust(room)) + b"\n")
        if self.compress:  # what was written before it began anew may have been longer
            self.file.truncate(self._line + sum(self._packed))


@contextlib.contextmanager
def written(path: Path, frames: int, size: tuple[int, int], compress: bool = False) -> Iterator[EntryWriter]:
    """An entry of so many frames of (height, width), there at `path` when the block ends well; raises OSError."""
    with atomic.replacing(path) as aside, aside.open("wb") as file:
        yield EntryWriter(file, frames, size, compress)


def load(path: Path) -> VideoInput | None:
    """The entry at `path`, its pixels read-only; None when it is not there or damaged (it is removed then)."""
    try:
        with path.open("rb") as file:
            facts = _facts(file.readline())
            shape, checksum = tuple(facts.pop("shape")), facts.pop("checksum")
            if (sizes := facts.pop("packed", None)) is None:
                pixels = np.asarray(np.memmap(file, np.uint8, "r", offset=file.tell(), shape=shape))
            else:
                pixels = _unpacked(file, shape, sizes)
        facts["indices"], facts["times"] = tuple(facts["indices"]), tuple(facts["times"])
        video = VideoInput(pixels, **facts, key=path.stem)
        if video.checksum != checksum:
            raise ValueError("damaged pixels")
    except (FileNotFoundError, IsADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        path.unlink(missing_ok=True)
        return None
    use(path)
    return video


def held(path: Path) -> tuple[int, list[int]] | None:
    """Frames of the video, and which of them an entry holds, its pixels unread; None when it is not there or damaged.
    It does not count as used."""
    try:
        with path.open("rb") as file:
            facts = _facts(file.readline())
        return facts["total"], facts["indices"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_whole(path: Path) -> bool:
    """Whether an entry is there, as long as its line says; it counts as used. Its pixels are not read."""
    try:
        with path.open("rb") as file:
            line = file.readline()
            facts = _facts(line)
            pixels = math.prod(facts["shape"]) if "packed" not in facts else sum(facts["packed"])
            whole = bool(len(line) + pixels == os.fstat(file.fileno()).st_size)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    use(path)
    return whole


def use(path: Path) -> None:
    """Note that an entry was used now."""
    with contextlib.suppress(OSError):  # a read-only cache has no order to keep
        os.utime(path)


def _unpacked(file: BinaryIO, shape: tuple[int, ...], sizes: Sequence[int]) -> Pixels:
    pixels = np.empty(shape, np.uint8)
    for frame, size in zip(pixels, sizes, strict=True):
        frame[:] = packing.unpacked(file.read(size), (shape[1], shape[2]))
    pixels.flags.writeable = False
    return pixels


def _facts(line: bytes) -> dict[str, Any]:
    """The first line of an entry; ValueError where it is not the one that was written."""
    head = content_hash.opened(line.rstrip(b"\n"))
    if head is None:
        raise ValueError("damaged header")
    facts: dict[str, Any] = json.loads(head)
    return facts
