"""Small disks that fill up, seen by this process and its children alone, and gone with it.

Example:
    if mounts.allowed():
        mounts.disk(Path("run"), 4 << 20)
        mounts.fill(Path("run"), free=10_000)
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

NEWNS, NEWUSER = 0x00020000, 0x10000000
READ_ONLY, REMOUNT, RECURSIVE, PRIVATE, DETACH = 1, 32, 1 << 14, 1 << 18, 2
FILLER = "filler"
PAGE = os.sysconf("SC_PAGE_SIZE")


@cache
def allowed() -> bool:
    """Give this process mounts of its own, as root of a user namespace where it is not root; False where the system
    does not let it. The process must have one thread."""
    uid, gid = os.getuid(), os.getgid()
    try:
        _check(_libc().unshare(NEWNS if uid == 0 else NEWNS | NEWUSER))
        if uid:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
            Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        _check(_libc().mount(b"none", b"/", None, RECURSIVE | PRIVATE, None))
    except (OSError, AttributeError):  # no such call on this system
        return False
    return True


def disk(path: Path, size: int) -> None:
    """Mount an empty disk of `size` bytes on a folder, which is made."""
    path.mkdir(parents=True, exist_ok=True)
    _check(_libc().mount(b"tmpfs", bytes(path), b"tmpfs", 0, f"size={size}".encode()))


def unmount(path: Path) -> None:
    with suppress(OSError):
        _check(_libc().umount2(bytes(path), DETACH))


def read_only(path: Path, on: bool) -> None:
    """Refuse, or take again, all writes to a disk of ours."""
    _check(_libc().mount(b"none", bytes(path), None, REMOUNT | (READ_ONLY if on else 0), None))


def fill(path: Path, free: int) -> None:
    """Leave about `free` bytes on a disk of ours, in whole pages."""
    empty(path)
    status = os.statvfs(path)
    with (path / FILLER).open("wb") as file, suppress(OSError):  # others write there too
        os.posix_fallocate(file.fileno(), 0, max(status.f_bavail * status.f_frsize - free // PAGE * PAGE, 1))


def empty(path: Path) -> None:
    """Take away what `fill` put there."""
    (path / FILLER).unlink(missing_ok=True)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
