from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from viubench.errors import ViubenchError
from viubench.storage import locking


def test_a_lock_is_for_one_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not locking.is_held(path)
    assert not path.exists(), "a check creates nothing"
    lock = locking.acquire(path, "busy", where="--out")
    assert locking.is_held(path)
    with pytest.raises(ViubenchError, match="busy") as error:
        locking.acquire(path, "busy", where="--out", hint="wait")
    assert (error.value.where, error.value.hint) == ("--out", "wait")
    lock.release()
    assert not locking.is_held(path)
    locking.acquire(path, "busy", where="--out").release()


def test_a_lock_of_a_version_before_is_respected(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert locking.is_held(path)
    assert not locking.is_held(path)


def test_a_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(ViubenchError, match="cannot be locked: No locks available"):
        locking.acquire(tmp_path / ".lock", "busy", where="--out")
    assert not locking.is_held(tmp_path / ".lock")
