"""The entries of a zip or a tar as they name themselves, and a reader of one entry's bytes.

Example:
    with ExitStack() as stack, open("videos.zip", "rb") as file:
        entries, read = read_zip(file, stack)

Names and sizes are judged by `viubench.datasets.archives`.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple

from viubench.errors import ViubenchError

CHUNK = 1 << 20  # bytes read and written at a time
MAX_HEADER = 1 << 20  # bytes of a tar header: a longer name or comment would only fill the memory
MAX_PADDING = 64 << 20  # bytes after the end of a tar; writers fill up to some KiB
END_RECORD, MANY = 22 + 0xFFFF, 0xFFFF
"""Most bytes of the record that ends a zip, comment included; the count of members that stands for "see zip64"."""

FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,  # with it NotImplementedError and RecursionError: what zipfile and tarfile say of odd headers
    OverflowError,
    LookupError,
    MemoryError,
)
"""All that Python's readers raise for a damaged or hostile container."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class Member(NamedTuple):
    """One member: its name, "file", "folder" or what else it is, its declared bytes, its CRC-32 where there is one."""

    name: str
    kind: str
    size: int
    crc: int | None
    handle: Any


Read = Callable[[Member], Iterator[bytes]]
"""Gives the bytes of one entry piece by piece: as many as declared, or an error of `FAULTS`."""


def read_zip(stream: BinaryIO, stack: ExitStack) -> tuple[Iterator[Member], Read]:
    """The entries of a zip. Raises one of `FAULTS` when it is none."""
    archive = stack.enter_context(zipfile.ZipFile(stream))
    stream.seek(-min(stream.seek(0, io.SEEK_END), END_RECORD), io.SEEK_END)
    end = stream.read().rpartition(b"PK\5\6")[2]
    promised = int.from_bytes(end[6:8], "little")
    if promised not in (MANY, len(archive.infolist())):  # zipfile takes what a damaged length lets it read
        raise zipfile.BadZipFile(f"its directory lists {len(archive.infolist())} of {promised} members")

    def read(entry: Member) -> Iterator[bytes]:
        with archive.open(entry.handle) as file:
            yield from _exactly(file, entry.size)
            if file.read(1):  # also makes zipfile compare the checksum of an empty rest
                raise zipfile.BadZipFile(f"{entry.name!r} is longer than it says")

    infos = archive.infolist()
    return (Member(info.orig_filename, _zip_kind(info), info.file_size, info.CRC, info) for info in infos), read


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 0x41:
        return "an encrypted member"
    if mode == stat.S_IFLNK:
        return "a link"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device or another special file"
    if info.orig_filename.endswith("/"):
        return "folder"
    if info.compress_type not in METHODS:
        return f"a member packed by a method that cannot be read ({info.compress_type})"
    return "file"


def read_tar(stream: BinaryIO, stack: ExitStack) -> tuple[Iterator[Member], Read]:
    """The entries of a tar or tar.gz, one by one as it is read through. Raises one of `FAULTS` when it is neither."""
    head = stream.read(2)
    stream.seek(0)
    content = stack.enter_context(gzip.GzipFile(fileobj=stream)) if head == b"\x1f\x8b" else stream

    def entries() -> Iterator[Member]:
        with tarfile.open(fileobj=_Headers(content), mode="r:", errors="surrogateescape") as archive:  # type: ignore[call-overload]
            for info in archive:
                yield Member(info.name, _tar_kind(info), info.size, None, info.offset_data)
            _check_end(content, archive.offset)

    def read(entry: Member) -> Iterator[bytes]:
        content.seek(entry.handle)
        yield from _exactly(content, entry.size)

    return entries(), read


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a link"
    if info.isdir():
        return "folder"
    return "file" if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and info.sparse is None else "a special file"


def _check_end(content: Any, offset: int) -> None:
    """tarfile takes a damaged header, and the end of the file, for the end of the archive; that is a block of zeros.

    What follows is read too, as only the end of a gz has its checksum.
    """
    content.seek(offset)
    block = content.read(tarfile.BLOCKSIZE)
    if block != bytes(tarfile.BLOCKSIZE):
        what = "a damaged header" if len(block) == tarfile.BLOCKSIZE else "no end mark: a part may be missing"
        raise tarfile.ReadError(f"{what} at byte {offset}")
    rest = 0
    while chunk := content.read(CHUNK):
        rest += len(chunk)
        if rest > MAX_PADDING:
            raise tarfile.ReadError(f"much follows its end mark at byte {offset}")


class _Headers:
    """A tar as its headers need it: a header that would be read into memory whole is refused when it is too long."""

    def __init__(self, content: Any) -> None:
        self.seek = content.seek
        self.tell = content.tell
        self._read = content.read

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise ViubenchError("the archive has a header of an impossible length", hint="nothing was written")
        data: bytes = self._read(size)
        return data


def _exactly(file: Any, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(CHUNK, size))
        if not chunk:
            raise EOFError(f"it ends {size} bytes early")
        size -= len(chunk)
        yield chunk
