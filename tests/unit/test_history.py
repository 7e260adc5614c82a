from __future__ import annotations

from pathlib import Path

import pytest
from watched_runs import entry

from viubench.errors import ViubenchError
from viubench.watch.history import FILE, History, read


def test_a_torn_last_line_is_dropped_and_the_next_one_stands_alone(tmp_path: Path) -> None:
    with History.open(tmp_path) as history:
        history.append(entry(1))
        history.append(entry(2))
    path = tmp_path / FILE
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines()[1]) + 1):
        path.write_bytes(whole[:-cut])
        with History.open(tmp_path) as history:
            assert [one.step for one in history.entries] == [1]
            history.append(entry(3))
        assert [one.step for one in read(tmp_path)] == [1, 3]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"schema": 1}\n' + entry().model_dump_json(by_alias=True).encode() + b"\n")
    with pytest.raises(ViubenchError, match="cannot be read") as error:
        History.open(tmp_path)
    assert error.value.where == f"{tmp_path / FILE}:1"
    (tmp_path / FILE).unlink()
    History.open(tmp_path).close()  # the lock was given back


def test_two_watches_do_not_share_a_folder(tmp_path: Path) -> None:
    with History.open(tmp_path), pytest.raises(ViubenchError, match="another watch is writing"):
        History.open(tmp_path)
    History.open(tmp_path).close()
    (tmp_path / "file").touch()
    with pytest.raises(ViubenchError, match="cannot write to"):
        History.open(tmp_path / "file" / "out")
