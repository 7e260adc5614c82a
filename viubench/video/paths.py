"""Files before any decoder sees them: inside the media root, really there, really a video's first bytes.

Example:
    resolve(Path("/data/videos"), "kitchen/pour.mp4")
    # PosixPath('/data/videos/kitchen/pour.mp4')
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from viubench.errors import MediaError
from viubench.storage import environment

LFS_HEAD = b"version https://git-lfs.github.com/spec/"
MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot"}


FOLLOW = environment.FOLLOW_LINKS
"""Environment variable by which a user says that links in media folders may lead anywhere."""


def links_followed() -> bool:
    """Whether the user has said so."""
    return environment.on(FOLLOW)


def _in_snapshot(base: Path, real: Path) -> bool:
    """Whether `real` is a blob of the repository in a hub's cache whose snapshot `base` is, or is in."""
    snapshots = (above.parent for above in (base, *base.parents) if above.parent.name == "snapshots")
    return any(real.is_relative_to(folder.parent / "blobs") for folder in snapshots)


def resolve(root: Path, name: str) -> Path:
    """The real path of `name` below the media root.

    Raises:
        MediaError: `outside_root` for an absolute path, one with a NUL byte, or one that leaves the root by ".." or by
            a symbolic link, unless links are followed (`links_followed`) or the root is a snapshot in a hub's cache,
            which is made of links; `missing` when nothing is there; `unreadable` in a folder that may not be entered.
    """
    if "\0" in name or os.path.isabs(name):
        raise MediaError("outside_root", name.replace("\0", "\\0"), "give a path relative to the media folder")
    base = Path(os.path.realpath(root))
    try:
        real = Path(os.path.realpath(base / name))
        there = real.exists()
    except PermissionError as error:
        raise MediaError("unreadable", name, error.strerror or "no permission") from None
    except (OSError, ValueError) as error:  # no file can have such a name
        raise MediaError("missing", f"{name!r:.200}", getattr(error, "strerror", None) or "no file name") from None
    if not real.is_relative_to(base):
        if os.path.normpath(name).startswith(".."):
            raise MediaError("outside_root", name, f"leads out of {root}")
        if not (links_followed() or _in_snapshot(base, real)):
            said = f"it is a link that leads out of {root}; to follow links: --follow-links, or {FOLLOW}=1"
            raise MediaError("outside_root", name, said)
    if not there:
        raise MediaError("missing", name, f"not in {root}")
    return real


def check(path: Path, name: str) -> None:
    """Raise MediaError `missing`, `unreadable`, `empty`, `lfs_pointer` or `not_a_video`: what is not worth opening."""
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise MediaError("not_a_video", name, "not a regular file")
        if info.st_size == 0:
            raise MediaError("empty", name, "0 bytes")
        with path.open("rb") as file:
            head = file.read(len(LFS_HEAD))
    except FileNotFoundError as error:  # it went after it was looked up
        raise MediaError("missing", name, "no such file") from error
    except (OSError, ValueError) as error:
        raise MediaError("unreadable", name, getattr(error, "strerror", None) or str(error)) from error
    if head == LFS_HEAD:
        raise MediaError("lfs_pointer", name, "only a git-lfs pointer: run `git lfs pull`")


def unreadable(path: Path, name: str) -> MediaError:
    """Why no container could be opened: an MP4 that lost its index is cut short, other known heads are damaged."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in MP4_BOXES:
        if not _has_whole_moov(path):
            return MediaError("truncated", name, "the index (moov box) is missing or cut off")
        return MediaError("corrupt", name, "the index (moov box) cannot be read")
    if head[:4] == b"\x1a\x45\xdf\xa3" or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return MediaError("corrupt", name, "the container's header cannot be read")
    return MediaError("not_a_video", name, "no container that a decoder recognises")


def boxes(path: Path, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(kind, first byte of the content, first byte after the box) of the MP4 boxes between two bytes of a file, in
    order (ISO/IEC 14496-12, 4.2); of a box that is cut off, the end that it promises."""
    end = path.stat().st_size if end is None else end
    with path.open("rb") as file:
        while start + 8 <= end:
            file.seek(start)
            head = file.read(16)
            length, width = int.from_bytes(head[:4], "big") or end - start, 8
            if length == 1:
                length, width = int.from_bytes(head[8:16], "big"), 16
            yield head[4:8], start + width, start + length
            if length < width:
                return
            start += length


def _has_whole_moov(path: Path) -> bool:
    """Whether a top-level `moov` box lies wholly inside the file."""
    size = path.stat().st_size
    return any(kind == b"moov" and end <= size for kind, _, end in boxes(path))


def cut_short(path: Path) -> str:
    """Where a fragmented MP4 ends too early, "" where it does not: its header promises nothing that could be missed,
    but its last box, or the index of its fragments (`sidx`), ends after the file does."""
    size, promised, fragmented = path.stat().st_size, 0, False
    with path.open("rb") as file:
        if file.read(8)[4:] not in MP4_BOXES:
            return ""
        for kind, start, end in boxes(path):
            fragmented = fragmented or kind == b"moof"
            promised = max(promised, end if kind in (b"moof", b"mdat") else 0)
            if kind == b"sidx" and end <= size:
                file.seek(start)
                promised = max(promised, end + _indexed(file.read(end - start)))
    return f"{size:,} of {promised:,} bytes are there" if fragmented and promised > size else ""


def _indexed(sidx: bytes) -> int:
    """Bytes of the fragments that a segment index lists, counted from its end (ISO/IEC 14496-12, 8.16.3)."""
    head, wide = (12, 8) if sidx[:1] == b"\1" else (12, 4)
    at = head + 2 * wide
    offset = int.from_bytes(sidx[head + wide : at], "big")
    number = int.from_bytes(sidx[at + 2 : at + 4], "big")
    sizes = (int.from_bytes(sidx[k : k + 4], "big") & 0x7FFFFFFF for k in range(at + 4, at + 4 + 12 * number, 12))
    return offset + sum(sizes)


def is_protected(path: Path) -> bool:
    """Whether an MP4 declares its video encrypted: a sample entry `encv` (ISO/IEC 14496-12, 8.12) or `drmi`."""
    with path.open("rb") as file:
        if file.read(8)[4:] not in MP4_BOXES:
            return False

        def entries(start: int, end: int) -> Iterator[bytes]:
            for kind, inside, after in boxes(path, start, end):
                if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
                    yield from entries(inside, min(after, end))
                elif kind == b"stsd":
                    file.seek(inside + 12)
                    yield file.read(4)
                if kind == b"moov":
                    return

        return any(entry in (b"encv", b"drmi") for entry in entries(0, path.stat().st_size))
