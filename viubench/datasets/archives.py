"""Archives as publishers ship them, unpacked safely: zip, tar, tar.gz, and either of them cut into parts.

Example:
    for archive in find(Path("data/videomme"), ["videos_chunked_*.zip"]):
        unpack(archive, Path("data/videomme/data"))

An archive is untrusted. All its members are checked before the first byte is written, and one bad member refuses the
whole: names that lead out, links, devices, encrypted members, two members that would be one file, more members or bytes
than an honest archive has. Parts are read as one file where they lie; each member appears whole or not at all, and one
that is already there is left alone, so that unpacking can be repeated after a kill.
"""

from __future__ import annotations

import io
import re
import shutil
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import reduce
from itertools import accumulate
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, NamedTuple

from viubench.datasets.archive_readers import CHUNK, FAULTS, Member, Read, read_tar, read_zip
from viubench.errors import ViubenchError
from viubench.storage import atomic

MAX_MEMBERS = 500_000
MAX_RATIO = 100  # bytes unpacked for each packed one; videos and pictures come to about 1, subtitles to about 10
SLACK = 64 << 20  # bytes an archive may unpack to whatever its ratio
MAX_NAME = 200  # bytes of a part of a path: file systems take 255, and `atomic` lengthens the name

Update = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

_WHOLE = (".zip", ".tar", ".tar.gz", ".tgz")
_PART = re.compile(r"(?P<stem>.+?)[._-]part[._-]?(?P<tag>[a-z]+|\d+)|(?P<stem2>.+)\.(?P<tag2>[a-z]{2,3}|\d{2,4})")
_SPLIT_ZIP = re.compile(r"(?P<stem>.+)\.z(?P<tag>\d{2,3})")
_ABANDONED = re.compile(rf"\.(.+)\.[0-9a-f]{{32}}{re.escape(atomic.ASIDE)}", re.DOTALL)


class Archive(NamedTuple):
    """One archive: its file, or its parts in order; `name` is its path below the data folder, without a part's tag."""

    name: str
    parts: tuple[Path, ...]


class Unpacked(NamedTuple):
    """Files in the archive, their bytes, and how many files had to be written."""

    files: int
    bytes: int
    written: int


def find(folder: Path, globs: Sequence[str]) -> list[Archive]:
    """The archives that globs below a data folder name, parts joined, sorted by name.

    Raises ViubenchError where a part is missing, or a glob leads out of the folder.
    """
    whole: dict[str, Path] = {}
    parts: dict[str, dict[str, Path]] = {}
    for glob in globs:
        contained(glob, "video.archives")
    files = {path for glob in globs for path in folder.glob(glob) if path.is_file() and path.name[0] != "."}
    for path in sorted(files):
        name = path.relative_to(folder).as_posix()
        split = _SPLIT_ZIP.fullmatch(name)
        part = None if name.lower().endswith(_WHOLE) else _PART.fullmatch(name)
        if split:
            parts.setdefault(f"{split['stem']}.zip", {})[split["tag"]] = path
        elif part:
            parts.setdefault(part["stem"] or part["stem2"], {})[part["tag"] or part["tag2"]] = path
        else:
            whole[name] = path
    joined = {name: _ordered(name, tags, whole.get(name)) for name, tags in parts.items()}
    return [Archive(name, joined.get(name) or (whole[name],)) for name in sorted({*whole, *joined})]


def _ordered(name: str, tags: dict[str, Path], end: Path | None) -> tuple[Path, ...]:
    """Parts in the order of their tags (aa, ab ... or 001, 002 ...), then the `.zip` that ends a `.z01` series."""
    numbered = sorted((_number(tag), path) for tag, path in tags.items())
    first = numbered[0][0]
    needs_end = any(_SPLIT_ZIP.fullmatch(path.name) for path in tags.values())
    if first > 1 or [n for n, _ in numbered] != list(range(first, first + len(tags))) or (needs_end and not end):
        message = f"{name!r} is not whole: of its parts only {', '.join(path.name for _, path in numbered)} are here"
        raise ViubenchError(message, where=str(numbered[0][1].parent), hint="fetch the missing parts")
    return (*(path for _, path in numbered), *([end] if end else []))


def _number(tag: str) -> int:
    """A part's number: the digits (from 0 or 1), or aa = 1, ab = 2 ... ba = 27."""
    return int(tag) if tag.isdigit() else reduce(lambda n, letter: n * 26 + ord(letter) - ord("a"), tag, 0) + 1


def contained(name: str, where: str) -> str:
    """A path below a folder, normalised ("./a//b" is "a/b"); ViubenchError when it leads out or cannot be written."""
    path = PurePosixPath(name)
    faults = {
        "is empty": not path.parts,
        "holds a NUL byte": "\0" in name,
        "is an absolute path": path.is_absolute() or bool(PureWindowsPath(name).drive),
        "leads out of its folder": ".." in path.parts,
        "holds a backslash": "\\" in name,
        "is too long": any(len(part.encode("utf-8", "surrogateescape")) > MAX_NAME for part in path.parts),
    }
    for fault, is_so in faults.items():
        if is_so:
            raise ViubenchError(f"the name {name[:120]!r} {fault}", where=where, hint="nothing was written")
    return path.as_posix()


def names(archive: Archive) -> list[str]:
    """Every file in an archive, checked as before unpacking."""
    with _opened(archive) as (members, _):
        return [member.name for member in members if member.kind == "file"]


def unpack(archive: Archive, into: Path, update: Update = lambda done, total: None) -> Unpacked:
    """Write what is in an archive below the folder `into`; files already there with the right content are kept.

    Raises ViubenchError where it is refused (nothing was written), is damaged (the members before the damage are
    there), or the disk is full; with the archive and the member.
    """
    with _opened(archive) as (members, read):
        total = sum(member.size for member in members)
        sizes = {into / member.name: member.size for member in members}
        new = sum(size for path, size in sizes.items() if not (path.is_file() and path.stat().st_size == size))
        check_room(new, into, f"unpack {archive.name!r}")
        _clear_abandoned(sizes.keys())
        done = written = 0
        for member in members:
            target = into / member.name
            with _naming(archive, member.name):
                if member.kind == "folder":
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                if not _is_there(target, member, read):
                    written += 1
                    with atomic.replacing(target) as aside, aside.open("wb") as file:
                        for chunk in read(member):
                            file.write(chunk)
                            update(done + file.tell(), total)
            done += member.size
            update(done, total)
    return Unpacked(sum(member.kind == "file" for member in members), total, written)


@contextmanager
def _opened(archive: Archive) -> Iterator[tuple[list[Member], Read]]:
    """The members of an archive, all of them checked, and what reads one of them."""
    with ExitStack() as stack:
        with _naming(archive):
            stream = stack.enter_context(io.BufferedReader(_Joined(archive.parts), CHUNK))
            reader = read_zip if stream.read(2) == b"PK" else read_tar
            stream.seek(0)
            entries, read = reader(stream, stack)
            checked = _checked(archive, entries)
        yield checked, read


@contextmanager
def _naming(archive: Archive, member: str = "") -> Iterator[None]:
    """Errors of the readers and the disk, as one that names the archive and the member."""
    place = f"{archive.parts[0]}: {member!r}" if member else str(archive.parts[0])
    try:
        yield
    except ViubenchError as error:
        raise ViubenchError(error.message, where=error.where or place, hint=error.hint) from None
    except (*FAULTS, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk; errors of gzip itself have no number
            message = f"{archive.name!r} cannot be unpacked: {error.strerror}"
            raise ViubenchError(message, where=place, hint="check the folder, its rights and its disk") from None
        message = f"{archive.name!r} is damaged or cut short: {error or type(error).__name__}"
        raise ViubenchError(message, where=place, hint="delete it and fetch it again") from None


def _checked(archive: Archive, entries: Iterator[Member]) -> list[Member]:
    """Every member under its plain name, or the error that refuses the archive. Stops reading at the first fault."""
    kept: dict[str, Member] = {}
    most = max(SLACK, MAX_RATIO * sum(part.stat().st_size for part in archive.parts))
    total = 0
    for count, entry in enumerate(entries, start=1):
        where = f"{archive.parts[0]}: {entry.name[:120]!r}"
        if entry.kind == "folder" and not PurePosixPath(entry.name).parts:
            continue  # "./", the folder itself
        name = contained(entry.name, where)
        if entry.kind not in ("file", "folder"):
            raise _refused(archive, f"holds {entry.kind}", where)
        if count > MAX_MEMBERS:
            raise _refused(archive, f"has more than {MAX_MEMBERS} members", where)
        total += entry.size
        if entry.size < 0 or total > most:
            raise _refused(archive, f"would unpack to more than {MAX_RATIO} times its size", where)
        key = unicodedata.normalize("NFC", name).casefold()
        other = kept.get(key)
        if other and (entry.kind, other.kind, name) != ("folder", "folder", other.name):
            raise _refused(archive, f"holds {other.name!r} twice, or in two spellings", where)
        kept[key] = entry._replace(name=name)
    for key in kept:
        for parent in PurePosixPath(key).parents:
            if (above := kept.get(parent.as_posix())) and above.kind == "file":
                raise _refused(archive, f"holds {above.name!r} as a file and as a folder", str(archive.parts[0]))
    return list(kept.values())


def _refused(archive: Archive, why: str, where: str) -> ViubenchError:
    hint = "nothing was written; if you trust it, unpack it by hand"
    return ViubenchError(f"{archive.name!r} is refused: it {why}", where=where, hint=hint)


def check_room(needed: int, folder: Path, what: str) -> None:
    """ViubenchError where the disk of `folder` (which need not exist yet) has less than `needed` bytes free."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        shown = [f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" for size in (needed, free)]
        message = f"no room to {what}: it takes {shown[0]}, {shown[1]} are free"
        raise ViubenchError(message, where=str(folder), hint="make room, or name another folder with --data-root")


def _is_there(target: Path, member: Member, read: Read) -> bool:
    """Whether a file already holds a member: by size and checksum, or by content where the archive has no checksum."""
    if not target.is_file() or target.stat().st_size != member.size:
        return False
    with target.open("rb") as file:
        if member.crc is None:
            return all(file.read(len(chunk)) == chunk for chunk in read(member))
        crc = 0
        while chunk := file.read(CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc == member.crc


def _clear_abandoned(targets: Collection[Path]) -> None:
    """Delete what a killed writer left beside the files it was about to write."""
    for folder in {target.parent for target in targets}:
        for path in folder.glob(f".*{atomic.ASIDE}"):
            if (match := _ABANDONED.fullmatch(path.name)) and folder / match[1] in targets:
                path.unlink(missing_ok=True)


class _Joined(io.RawIOBase):
    """Several files read as one, without copying them together."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._ends = list(accumulate(part.stat().st_size for part in parts))
        self._files: list[BinaryIO] = [part.open("rb") for part in parts]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1]}[whence]
        if start + offset < 0:
            raise OSError("a place before the start of the archive")  # as a file does; zipfile counts on it
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        number = next((n for n, end in enumerate(self._ends) if self._at < end), None)
        if number is None:
            return 0
        file, end = self._files[number], self._ends[number]
        file.seek(self._at - (self._ends[number - 1] if number else 0))
        chunk = file.read(min(len(buffer), end - self._at))
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
