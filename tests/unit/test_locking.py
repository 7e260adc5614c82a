from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from viubench.errors import ViubenchError
from viubench.storage import locking


def test_a_lock_is_for_one_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not locking.is_held(path)
    assert not path.exists(), "to ask makes nothing"
    with locking.take(path):
        assert locking.is_held(path)
        with pytest.raises(BlockingIOError):
            locking.take(path)
    assert not locking.is_held(path)
    locking.take(path).close()
    with pytest.raises(FileNotFoundError):
        locking.take(tmp_path / "no" / ".lock")


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(ViubenchError, match="cannot be locked: No locks available"):
        locking.take(tmp_path / ".lock")
    assert not locking.is_held(tmp_path / ".lock")
