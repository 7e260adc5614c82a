"""Which files below a folder are videos to build from.

Example:
    list_videos(Path("clips"))[0]
    # ['kitchen/pour.mp4', 'street.webm']
"""

from __future__ import annotations

import os
from pathlib import Path

from viubench.errors import ViubenchError

VIDEO_SUFFIXES = frozenset((
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".ivf", ".m1v", ".m2ts",
    ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts",
    ".mxf", ".nut", ".ogg", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
))  # fmt: skip
"""Lower case; the one list of the product."""

PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tiff", ".webp"))

NOTE_SUFFIXES = frozenset((".md", ".txt", ".json"))


def list_videos(root: Path, skip: Path | None = None) -> tuple[list[str], list[str]]:
    """The videos below `root`, and the other files: paths relative to it, with forward slashes, sorted.

    Hidden files, notes and all below `skip` are left out. Broken videos and links that lead elsewhere are among the
    videos: they fail when they are read, with a reason. Raises ViubenchError where there is no video file.
    """
    if not root.is_dir():
        raise ViubenchError(f"no such folder: {root}", where="--videos")
    skipped = skip.resolve() if skip else None
    videos: list[str] = []
    ignored: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and (Path(folder) / f).resolve() != skipped]
        for name in names:
            path = Path(folder) / name
            suffix = path.suffix.lower()
            if not name.startswith(".") and suffix not in NOTE_SUFFIXES:
                (videos if suffix in VIDEO_SUFFIXES else ignored).append(path.relative_to(root).as_posix())
    if not videos:
        raise ViubenchError(
            f"no video files in {root}", where="--videos", hint="known suffixes: " + " ".join(sorted(VIDEO_SUFFIXES))
        )
    return sorted(videos), sorted(ignored)
