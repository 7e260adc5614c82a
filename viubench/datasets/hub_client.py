"""Requests to the hub: which commit a data set has, which files, and their bytes; errors as messages to act on.

Example:
    resolve(task)
    # Resolved(asked='lmms-lab/Video-MME', repo='lmms-eval/Video-MME', revision='ead1408f75b6...')

A download resumes at the byte where it was interrupted (`hf_hub_download` starts a file again, and files here have up
to 50 GB), and is compared with the hub's checksum before it gets its name.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from viubench.datasets import local_manifest
from viubench.datasets.local_manifest import ManifestFile
from viubench.errors import ViubenchError
from viubench.schema import Task

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT = 60  # seconds without a byte after which a connection counts as broken
PATIENCE = 5  # attempts in a row without a new byte after which a download fails
WORST = ("is gated", "refuses", "no commit, branch or tag", "no data set")
"""Parts of the messages about refused ids, the most informative first."""


class Resolved(NamedTuple):
    """Which of a data set's ids the hub knew, the name it has now, and the commit."""

    asked: str
    repo: str
    revision: str


class Remote(NamedTuple):
    """A file on the hub: bytes, and the id of its content (SHA-256 of a large file, git's SHA-1 of a small one)."""

    size: int
    id: str


def resolve(task: Task) -> Resolved:
    """Ask the hub for the task's id, then for its fallbacks, at the task's revision; the hub follows renamed ids.

    Raises ViubenchError where none is there, access is refused, or the hub cannot be reached.
    """
    refusals: list[ViubenchError] = []
    for asked in (task.dataset_path, *task.fallbacks):
        with _explained(task, asked, refusals):
            info = _api().dataset_info(asked, revision=task.revision or None, timeout=TIMEOUT)
            if not info.sha:
                raise ValueError("no commit")
            return Resolved(asked, info.id, info.sha)
    worst = min(refusals, key=lambda error: next(n for n, part in enumerate(WORST) if part in error.message))
    others = [error.message for error in refusals if error is not worst]
    raise ViubenchError("; ".join([worst.message, *others]), where=worst.where, hint=worst.hint)


def listing(task: Task, resolved: Resolved) -> dict[str, Remote]:
    """Every file of a data set at one commit, by path. Raises ViubenchError as `resolve`."""
    from huggingface_hub.hf_api import RepoFile

    with _explained(task, resolved.repo):
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

    `update` is called with the bytes that are there. Raises ViubenchError as `resolve`, and where the bytes are not
    those that the hub lists.
    """
    target = folder / path
    aside = half_done(target, remote)
    with _explained(task, resolved.repo):
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.touch()
        fruitless = 0
        while (have := aside.stat().st_size) < remote.size:
            try:
                _append(resolved, path, remote, aside, update)
            except _transport() as error:
                fruitless = fruitless + 1 if aside.stat().st_size <= have else 0
                if _is_final(error) or fruitless >= PATIENCE:
                    raise
                time.sleep(fruitless)
        if (entry := compared(aside, remote)) is None:
            aside.unlink()
            message = f"{path!r} came damaged: its checksum is not the one that {resolved.repo} lists"
            hint = "fetch again; if it happens again, a proxy or a mirror may be changing it"
            raise ViubenchError(message, where=str(target), hint=hint)
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

    url = hf_hub_url(resolved.repo, path, repo_type="dataset", revision=resolved.revision, endpoint=endpoint())
    # Identity: a length and a place in a compressed answer would be those of other bytes.
    rest = {"Accept-Encoding": "identity", "Range": f"bytes={aside.stat().st_size}-"}
    headers = build_hf_headers(library_name="viubench") | rest
    with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
        hf_raise_for_status(response)
        with aside.open("ab" if response.status_code == 206 else "wb") as file:
            for chunk in response.iter_bytes():  # as they come: bytes kept back to fill a chunk would be lost
                file.write(chunk)
                update(min(file.tell(), remote.size))
                if file.tell() > remote.size:
                    return


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint(), library_name="viubench")


def endpoint() -> str:
    """The hub: $HF_ENDPOINT, or the public one."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _transport() -> Any:
    """The base of all that huggingface_hub's HTTP client raises, whichever client its version has."""
    from huggingface_hub import errors

    return errors.HfHubHTTPError.__mro__[1]


def _is_final(error: Exception) -> bool:
    """Whether a retry would get the same answer."""
    from huggingface_hub import errors

    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0
    return 400 <= status < 500 and status not in (408, 429)


@contextmanager
def _explained(task: Task, repo: str, refusals: list[ViubenchError] | None = None) -> Iterator[None]:
    """Errors of the block as ViubenchError; one about this id alone is put into `refusals`, where that is given."""
    from huggingface_hub import errors

    try:
        yield
    except ViubenchError:
        raise
    except errors.OfflineModeIsEnabled:
        raise _unreachable(task, "HF_HUB_OFFLINE forbids requests to the hub", "unset HF_HUB_OFFLINE") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        refusal = _refusal(task, repo, error, status)
        if refusals is None or status not in (401, 403, 404):
            raise refusal from None
        refusals.append(refusal)
    except _transport() as error:
        why = f"the hub cannot be reached ({type(error).__name__})"
        raise _unreachable(task, why, "check the network, HTTPS_PROXY and HF_ENDPOINT, then fetch again") from None
    except (ValueError, KeyError, TypeError) as error:  # an invalid id, or an answer that huggingface_hub cannot parse
        reason = (str(error).splitlines() or [""])[0][:200]
        message = f"{repo!r} cannot be requested: {type(error).__name__}: {reason}"
        hint = "check the task's dataset_path, HF_ENDPOINT, and proxies"
        raise ViubenchError(message, where=endpoint(), hint=hint) from None
    except OSError as error:
        raise ViubenchError(f"cannot write the data: {error.strerror or error}", where=str(error.filename)) from None


def _refusal(task: Task, repo: str, error: Exception, status: int) -> ViubenchError:
    from huggingface_hub import errors

    page = f"{endpoint()}/datasets/{repo}"
    own_files = _by_hand(task)
    if isinstance(error, errors.GatedRepoError):
        message = f"{repo} is gated: the hub gives it to those who accepted its terms"
        hint = f"accept the terms at {page} and set HF_TOKEN to a token of yours, or {own_files}"
    elif isinstance(error, errors.RevisionNotFoundError):
        message = f"{repo} has no commit, branch or tag {task.revision or 'main'!r}"
        hint = "check its history on the hub and correct the task's revision"
    elif status in (401, 403):
        message = f"the hub refuses {repo} ({status}): it is private, or nothing has that name"
        hint = f"if it is private, set HF_TOKEN to a token that may read it, or {own_files}"
    elif isinstance(error, errors.EntryNotFoundError):
        message = f"{repo} no longer has a file that it listed"
        hint = "fetch again"
    elif status == 404:
        message = f"no data set {repo} is on the hub"
        hint = f"find its new name ({task.metadata.source or page}), add it to the task's fallbacks, or {own_files}"
    else:
        message = f"the hub answered {status} for {repo}"
        hint = "retry later: what was downloaded is kept"
    return ViubenchError(message, where=page, hint=hint)


def _unreachable(task: Task, why: str, what: str) -> ViubenchError:
    hint = f"{what}; or {_by_hand(task, f'the files of {task.dataset_path}')}"
    return ViubenchError(f"{task.task}: {why}", where=endpoint(), hint=hint)


def _by_hand(task: Task, files: str = "the files") -> str:
    return f"put {files} by hand into the folder {(task.data or task.task)!r} of the data root"
