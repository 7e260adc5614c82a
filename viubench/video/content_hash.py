"""What a clip's files are, by content: where they lie, the hash of their bytes, the probe remembered for it.

Example:
    content_hash(located(Clip(path="pour.mp4"), Path("videos")), Path("cache"))
    # '5f2c0d9b6a1e4c7f8b3d2a1c0e9f8d7c'
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from viubench.errors import ViubenchError
from viubench.schema import Clip
from viubench.storage import atomic
from viubench.video import paths
from viubench.video.probe import Probe

ARRAYS = ("times", "pts", "keys")


def located(clip: Clip, root: Path) -> list[tuple[str, Path]]:
    """(name, real path) of each file of a clip, in order, every one below `root` and there.

    Raises:
        MediaError: outside_root, missing, unreadable, empty, lfs_pointer, not_a_video.
    """
    names = clip.frame_files or ((clip.path,) if clip.path else ())
    if not names:
        raise ViubenchError("a clip names neither a path nor frame_files")
    files = [(name, paths.resolve(root, name)) for name in names]
    for name, path in files:
        paths.check(path, name)
    return files


def content_hash(located: list[tuple[str, Path]], memory: Path) -> str:
    """32 hex digits: the BLAKE3 hash of the file's bytes; of several files, the hash over theirs. Remembered in
    the folder `memory` under the files' real paths, sizes and modification times."""
    if (known := remembered(located, memory)) is not None:
        return known
    digests = [_digest(path) for _, path in located]
    whole = digests[0] if len(digests) == 1 else blake3(b"".join(digest.digest() for digest in digests))
    result = str(whole.hexdigest(length=16))
    atomic.write(_note(located, memory), sealed(result.encode()))
    return result


def remembered(located: list[tuple[str, Path]], memory: Path) -> str | None:
    """The hash, where it was worked out before; no file is read."""
    known = _read(_note(located, memory))
    return known.decode() if known is not None else None


def _note(located: list[tuple[str, Path]], memory: Path) -> Path:
    stamps = [(str(path), info.st_size, info.st_mtime_ns) for _, path in located for info in [path.stat()]]
    return memory / str(blake3(json.dumps(stamps).encode()).hexdigest(length=16))


def _digest(path: Path) -> Any:
    """The hash of a file read piece by piece: mapped whole, an hour of video would count as memory of this process."""
    digest = blake3()
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest


def sealed(data: bytes) -> bytes:
    """`data` behind its hash (32 hex digits), so that a bit that flips on disk is found."""
    return blake3(data).hexdigest(length=16).encode() + data


def opened(kept: bytes) -> bytes | None:
    """What was `sealed`; None where it is damaged."""
    data = kept[32:]
    return data if kept[:32] == blake3(data).hexdigest(length=16).encode() else None


def _read(path: Path) -> bytes | None:
    """What was kept sealed at `path`; None where there is nothing, or it is damaged: it is worked out again then."""
    try:
        return opened(path.read_bytes())
    except OSError:
        return None


def save_probe(probe: Probe, path: Path) -> None:
    """Keep a probe as a sealed .npz file."""
    plain = {field.name: getattr(probe, field.name) for field in fields(probe) if field.name not in ARRAYS}
    arrays = io.BytesIO()
    np.savez(arrays, facts=np.array(json.dumps(plain)), **{name: getattr(probe, name) for name in ARRAYS})
    atomic.write(path, sealed(arrays.getvalue()))


def load_probe(path: Path) -> Probe | None:
    """The probe kept at `path`; None when there is none, or none that can be read."""
    if (data := _read(path)) is None:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            facts: dict[str, Any] = json.loads(str(kept["facts"]))
            return Probe(**facts, **{name: kept[name] for name in ARRAYS})
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):  # of another version
        return None
