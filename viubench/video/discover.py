"""Which files below a folder are videos to build from.

Example:
    list_videos(Path("clips"))[0]
    # ['kitchen/pour.mp4', 'street.webm']
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from viubench.errors import ViubenchError
from viubench.video.paths import FOLLOW, links_followed

VIDEO_SUFFIXES = frozenset((
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".ivf", ".m1v", ".m2ts",
    ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts",
    ".mxf", ".nut", ".ogg", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
))  # fmt: skip
"""Lower case; the one list of the product."""

PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tiff", ".webp"))

NOTE_SUFFIXES = frozenset((".md", ".txt", ".json"))


def folder_of(videos: Path) -> Path:
    """The folder that videos are looked for in: of one file, the one it lies in."""
    return videos.parent if videos.is_file() else videos


class Found(NamedTuple):
    """Paths below a folder, with forward slashes, sorted: `videos`, `ignored` files, and `left_out`, folders that were
    not searched, each with why."""

    videos: list[str]
    ignored: list[str]
    left_out: list[str]


def list_videos(root: Path, skip: Path | None = None) -> Found:
    """What is below `root`; the one name of a `root` that is a file.

    Hidden files, notes and all below `skip` are left out. Broken videos and links that lead elsewhere are among the
    videos: they fail when they are read, with a reason. Raises ViubenchError where there is no video file.
    """
    if root.is_file():
        return Found([root.name], [], [])
    if not root.is_dir():
        raise ViubenchError(f"no such folder or video: {root}", where="--videos")
    skipped = skip.resolve() if skip else None
    videos: list[str] = []
    ignored: list[str] = []
    left_out: list[str] = []

    def unread(error: OSError) -> None:
        left_out.append(f"{Path(error.filename).relative_to(root).as_posix()}: {error.strerror}")

    seen = {skipped}
    for folder, folders, names in os.walk(root, onerror=unread, followlinks=links_followed()):
        seen.add(Path(folder).resolve())  # a link may lead back
        folders[:] = [f for f in folders if not f.startswith(".") and (Path(folder) / f).resolve() not in seen]
        for link in () if links_followed() else filter(os.path.islink, (Path(folder) / f for f in folders)):
            how = f"a linked folder; to search those: --follow-links, or {FOLLOW}=1"
            left_out.append(f"{link.relative_to(root).as_posix()}: {how}")
        for name in names:
            path = Path(folder) / name
            suffix = path.suffix.lower()
            if not name.startswith(".") and suffix not in NOTE_SUFFIXES:
                (videos if suffix in VIDEO_SUFFIXES else ignored).append(path.relative_to(root).as_posix())
    if not videos:
        known = "known suffixes: " + " ".join(sorted(VIDEO_SUFFIXES))
        more = f"; not searched: {'; '.join(sorted(left_out))}" if left_out else ""
        raise ViubenchError(f"no video files in {root}{more}", where="--videos", hint=known)
    return Found(sorted(videos), sorted(ignored), sorted(left_out))
