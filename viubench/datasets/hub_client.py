"""Requests to the hub: which commit a data set has, which files, and their bytes.

Example:
    >>> resolve(task)  # doctest: +SKIP
    Resolved(asked='lmms-lab/Video-MME', repo='lmms-eval/Video-MME', revision='ead1408f75b6...')

A download resumes at the byte where it was interrupted (`hf_hub_download` starts a file again, and files here have up
to 50 GB), and is compared with the hub's checksum before it gets its name.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from viubench.datasets import hub_errors, local_manifest
from viubench.datasets.local_manifest import ManifestFile
from viubench.errors import ViubenchError
from viubench.schema import Task

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT = 60
"""Seconds without a byte after which a connection counts as broken."""
PATIENCE = 5
"""Attempts in a row without a new byte after which a download fails."""


class Resolved(NamedTuple):
    """Which of a data set's ids the hub knew, the name it has now, and the commit."""

    asked: str
    repo: str
    revision: str


@dataclass(frozen=True)
class Remote:
    """A file on the hub: bytes, and the id of its content (SHA-256 of a large file, git's SHA-1 of a small one)."""

    size: int
    id: str


def resolve(task: Task) -> Resolved:
    """Ask the hub for the task's id, then for its fallbacks, at the task's revision; the hub follows renamed ids.

    Raises:
        ViubenchError: none is there, or access is refused, or the hub cannot be reached.
    """
    refusals: list[ViubenchError] = []
    for asked in (task.dataset_path, *task.fallbacks):
        with hub_errors.explained(task, asked, refusals), hub_errors.understood(asked):
            info = _api().dataset_info(asked, revision=task.revision or None, timeout=TIMEOUT)
            if not info.sha:
                raise ValueError("no commit")
            return Resolved(asked, info.id, info.sha)
    raise hub_errors.worst(refusals)


def listing(task: Task, resolved: Resolved) -> dict[str, Remote]:
    """Every file of a data set at one commit, by path. Raises ViubenchError as `resolve`."""
    from huggingface_hub.hf_api import RepoFile

    with hub_errors.explained(task, resolved.repo), hub_errors.understood(resolved.repo):
        tree = _api().list_repo_tree(resolved.repo, repo_type="dataset", revision=resolved.revision, recursive=True)
        return {
            entry.path: Remote(entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
            for entry in tree
            if isinstance(entry, RepoFile)
        }


def download(
    task: Task, resolved: Resolved, path: str, remote: Remote, folder: Path, update: Callable[[int], None]
) -> ManifestFile:
    """Download one file into `folder`, resuming an earlier attempt; it gets its name once it is checked.

    Args:
        update: called with the bytes of this file that are there.

    Raises:
        ViubenchError: as `resolve`; or the bytes are not those that the hub lists.
    """
    target = folder / path
    aside = half_done(target, remote)
    with hub_errors.explained(task, resolved.repo):
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.touch()
        fruitless = 0
        while (have := aside.stat().st_size) < remote.size:
            try:
                _append(resolved, path, remote, aside, update)
            except hub_errors.transport() as error:
                fruitless = fruitless + 1 if aside.stat().st_size <= have else 0
                if hub_errors.is_final(error) or fruitless >= PATIENCE:
                    raise
                time.sleep(fruitless)
        entry = compared(aside, remote)
        if entry is None:
            aside.unlink()
            raise ViubenchError(
                f"{path!r} came damaged: its checksum is not the one that {resolved.repo} lists",
                where=str(target),
                hint="fetch again; if it happens again, a proxy or a mirror may be changing it",
            )
        os.replace(aside, target)
        for other in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 16}.part"):
            other.unlink()  # part of an older version
    return entry


def half_done(target: Path, remote: Remote) -> Path:
    """The name of a partial download: of one content only, so that no two versions are joined."""
    return target.with_name(f".{target.name}.{remote.id[:16]}.part")


def compared(file: Path, remote: Remote) -> ManifestFile | None:
    """The manifest's entry of a local file, if its content is that of `remote`."""
    from huggingface_hub.utils.sha import git_hash

    entry = local_manifest.measure(file, remote.id)
    own = entry.sha256 if len(remote.id) == 64 else git_hash(file.read_bytes())
    return entry if (entry.size, own) == (remote.size, remote.id) else None


def _append(resolved: Resolved, path: str, remote: Remote, aside: Path, update: Callable[[int], None]) -> None:
    """Request the rest of a file and write it as it comes; hardly more than the listed size."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    have = aside.stat().st_size
    at = hub_errors.endpoint()
    url = hf_hub_url(resolved.repo, path, repo_type="dataset", revision=resolved.revision, endpoint=at)
    # Identity: a length and a place in a compressed answer would be those of other bytes.
    headers = build_hf_headers(library_name="viubench") | {"Accept-Encoding": "identity", "Range": f"bytes={have}-"}
    with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
        hf_raise_for_status(response)
        is_rest = response.status_code == 206
        with aside.open("ab" if is_rest else "wb") as file:
            for chunk in response.iter_bytes():  # as they come: bytes kept back to fill a chunk would be lost
                file.write(chunk)
                update(min(file.tell(), remote.size))
                if file.tell() > remote.size:
                    return


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(endpoint=hub_errors.endpoint(), library_name="viubench")
