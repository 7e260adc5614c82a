"""Errors of the hub and the network, as messages a user can act on.

Example:
    >>> with explained(task, "lmms-lab/Video-MME"):  # doctest: +SKIP
    ...     api.dataset_info("lmms-lab/Video-MME")
    viubench.errors.ViubenchError: lmms-lab/Video-MME is gated: the hub gives it to those who accepted its terms
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from viubench.errors import ViubenchError
from viubench.schema import Task

WORST = ("is gated", "refuses", "no commit, branch or tag", "no data set")
"""Parts of the messages about refused ids, the most informative first."""


def endpoint() -> str:
    """The hub: $HF_ENDPOINT, or the public one."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def transport() -> type[Exception]:
    """The base of all that huggingface_hub's HTTP client raises, whichever client its version has."""
    from huggingface_hub import errors

    base: type[Exception] = errors.HfHubHTTPError.__mro__[1]
    return base


def is_final(error: Exception) -> bool:
    """Whether a retry would get the same answer."""
    from huggingface_hub import errors

    if not isinstance(error, errors.HfHubHTTPError):
        return False
    status = error.response.status_code
    return 400 <= status < 500 and status not in (408, 429)


@contextmanager
def explained(task: Task, repo: str, refusals: list[ViubenchError] | None = None) -> Iterator[None]:
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
    except transport() as error:
        why = f"the hub cannot be reached ({type(error).__name__})"
        raise _unreachable(task, why, "check the network, HTTPS_PROXY and HF_ENDPOINT, then fetch again") from None
    except OSError as error:
        raise ViubenchError(f"cannot write the data: {error.strerror or error}", where=str(error.filename)) from None


@contextmanager
def understood(repo: str) -> Iterator[None]:
    """An answer that huggingface_hub cannot parse, or an invalid id, as ViubenchError."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise ViubenchError(
            f"{repo!r} cannot be requested: {type(error).__name__}: {reason}",
            where=endpoint(),
            hint="check the task's dataset_path, HF_ENDPOINT, and proxies",
        ) from None


def worst(refusals: Sequence[ViubenchError]) -> ViubenchError:
    """The error when every id of a data set was refused: the most informative refusal, then the others."""
    refusal = min(refusals, key=lambda error: next(n for n, start in enumerate(WORST) if start in error.message))
    rest = "; ".join(error.message for error in refusals if error is not refusal)
    message = f"{refusal.message}; {rest}" if rest else refusal.message
    return ViubenchError(message, where=refusal.where, hint=refusal.hint)


def _refusal(task: Task, repo: str, error: Exception, status: int) -> ViubenchError:
    from huggingface_hub import errors

    page = f"{endpoint()}/datasets/{repo}"
    own_files = f"put the files by hand into the folder {(task.data or task.task)!r} of the data root"
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
    folder = repr(task.data or task.task)
    hint = f"{what}; or put the files of {task.dataset_path} by hand into the folder {folder} of the data root"
    return ViubenchError(f"{task.task}: {why}", where=endpoint(), hint=hint)
