"""Other libraries that may decode videos, each trusted with a kind of file once its frames were those of our own.

Example:
    Readers("decord", Path("cache")).read(frames, path, probe(path), np.array([0, 24]), (352, 640), name="pour.mp4")
    # ("decord", "")

A kind is what decides how frames are found and turned into RGB: container, codec, pixel format, rotation, and whether
packets carry times. The first file of a kind is decoded by PyAV as well, and every pixel compared; what came of it is
kept beside the frame cache. These libraries say nothing of damage, so PyAV stays the default (`viubench.video.decode`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from viubench.errors import ViubenchError
from viubench.schema import canonical_json
from viubench.storage import atomic
from viubench.video import content_hash, cores, decode
from viubench.video.frames import Pixels
from viubench.video.pixels import resized
from viubench.video.probe import Probe

OWN, FASTEST = "pyav", "fastest"
AT_ONCE = 256 << 20
"""Bytes of unscaled frames that are asked of a library at once."""

Indices = NDArray[np.int64]


def _decord(path: Path) -> tuple[int, Callable[[list[int]], Pixels]]:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=cores.share())
    return len(reader), lambda chosen: np.asarray(reader.get_batch(chosen).asnumpy())


def _torchcodec(path: Path) -> tuple[int, Callable[[list[int]], Pixels]]:
    from torchcodec.decoders import VideoDecoder

    reader: Any = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=cores.share(), seek_mode="exact")
    return len(reader), lambda chosen: np.asarray(reader.get_frames_at(indices=chosen).data.numpy())


LIBRARIES: dict[str, Callable[[Path], tuple[int, Callable[[list[int]], Pixels]]]] = {
    "decord": _decord,
    "torchcodec": _torchcodec,
}
"""How many frames a library finds in a file, and how it gives some of them."""

NAMES = (OWN, *LIBRARIES, FASTEST)


@dataclass(frozen=True)
class Proof:
    """What came of one kind of file: the seconds of our own reader, and of each library whose frames were the same;
    `refused` says of the others why."""

    own: float
    seconds: dict[str, float]
    refused: dict[str, str]


class _Doubt(Exception):
    """A library fails, or finds another video."""


class Readers:
    """Reads by the library `name`, or by the FASTEST that is proven; proofs are kept in `folder`.

    Raises ViubenchError for an unknown name, or a library that does not load.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.candidates = [name] if name in LIBRARIES else [one for one in LIBRARIES if name == FASTEST and loads(one)]
        if name not in NAMES:
            raise ViubenchError(f"no reader is called {name!r}", where="--reader", hint=f"one of {', '.join(NAMES)}")
        if name in LIBRARIES and not loads(name):
            raise ViubenchError(f"{name} does not load here", where="--reader", hint=f"pip install {name}")

    def read(
        self, out: decode.Frames, path: Path, probe: Probe, chosen: Indices, size: tuple[int, int], *, name: str
    ) -> tuple[str, str]:
        """Put frames into `out` and raise as `decode.read_into` does; who decoded them, and why it was not the library
        asked for ("" where it was)."""
        facts = probe, chosen, size
        if not self.candidates or probe.faults:
            decode.read_into(out, path, *facts, name=name)
            return OWN, ""
        proof = self._known(probe) or self._prove(path, *facts, name)
        for library in sorted(proof.seconds, key=lambda one: proof.seconds[one]):
            if self.name == library or proof.seconds[library] < proof.own:
                with suppress(_Doubt):  # our own reader has the last word
                    _put(out, library, path, *facts)
                    return library, ""
        decode.read_into(out, path, *facts, name=name)
        return OWN, self._why(probe, proof)

    def _prove(self, path: Path, probe: Probe, chosen: Indices, size: tuple[int, int], name: str) -> Proof:
        """Compare our frames of the first file of a kind with those of the libraries."""
        began = time.perf_counter()
        ours = decode.read(path, probe, chosen, size, name=name)
        own, seconds, refused = time.perf_counter() - began, dict[str, float](), dict[str, str]()
        for library in self.candidates:
            theirs = np.empty_like(ours)
            began = time.perf_counter()
            try:
                _put(theirs, library, path, probe, chosen, size)
            except _Doubt as doubt:
                refused[library] = str(doubt)
                continue
            seconds[library] = time.perf_counter() - began
            if differ := sum(not np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True)):
                del seconds[library]
                refused[library] = f"{differ} of {len(ours)} frames are not those of a decode in order"
        proof = Proof(own, seconds, refused)
        atomic.write(self._file(probe), content_hash.sealed(json.dumps(vars(proof)).encode()))
        return proof

    def _known(self, probe: Probe) -> Proof | None:
        with suppress(OSError, ValueError, TypeError):
            if kept := content_hash.opened(self._file(probe).read_bytes()):
                return Proof(**json.loads(kept))
        return None

    def _why(self, probe: Probe, proof: Proof) -> str:
        if self.name not in proof.refused:
            return ""
        return f"{self.name} is not used for {probe.codec} in {probe.container}: {proof.refused[self.name]}"

    def _file(self, probe: Probe) -> Path:
        kind = {
            "picture": [probe.container, probe.codec, probe.pixel_format, probe.rotation],
            "times": [probe.random_access, len(probe.pts) > 0],
            "versions": [f"{one} {_version(one)}" for one in ("av", *self.candidates)],
        }
        folder = self.folder / "readers"
        folder.mkdir(exist_ok=True)
        return folder / str(blake3(canonical_json(kind).encode()).hexdigest(length=16))


def loads(library: str) -> bool:
    """Whether a library is installed and loads: its own libraries may be missing."""
    try:
        __import__({"torchcodec": "torchcodec.decoders"}.get(library, library))
    except Exception:
        return False
    return True


def _put(out: decode.Frames, library: str, path: Path, probe: Probe, chosen: Indices, size: tuple[int, int]) -> None:
    for at, frame in enumerate(_by(library, path, probe, chosen)):
        out[at] = resized(frame, size)


def _by(library: str, path: Path, probe: Probe, chosen: Indices) -> Iterator[Pixels]:
    """Frames by a library, some at a time; raises _Doubt, also where it finds another number or shape of them."""
    try:
        frames, give = LIBRARIES[library](path)
        if frames != probe.frames:
            raise ValueError(f"it finds {frames} frames of {probe.frames}")
        most = max(1, AT_ONCE // (probe.width * probe.height * 3))
        for place in range(0, len(chosen), most):
            for frame in give(chosen[place : place + most].tolist()):
                if frame.shape != (probe.height, probe.width, 3):
                    raise ValueError(f"it gives {frame.shape[1]}x{frame.shape[0]}, not {probe.width}x{probe.height}")
                yield frame
    except Exception as error:
        raise _Doubt(f"{type(error).__name__}: {error}".splitlines()[0][:120]) from error


def _version(package: str) -> str:
    with suppress(PackageNotFoundError):
        return version(package)
    return ""
