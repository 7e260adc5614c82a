"""What a terminal and a log show: a few lines of progress with rate, time left and statuses; tables that fit."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tabulate import tabulate

from reports.tables.terminal import table, terminal_width
from viubench.cli.progress import Lines, stages
from viubench.runner.config import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_at_the_start_every_twentieth_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines("answering", clock)
    for done in range(1001):
        clock.now += 0.0 if done == 0 else 20.0 if done == 1 else 0.1  # the engine starts for 20 s
        lines(done, 1000, "ok 1")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 21
    assert said[0] == "answering: 0 of 1000 (0 %); ok 1"
    assert said[1] == "answering: 50 of 1000 (5 %), 10.0/s, 0:01:35 left; ok 1"
    assert said[-1] == "answering: 1000 of 1000 (100 %), 10.0/s; ok 1"


def test_a_line_every_half_minute_of_a_slow_job_and_none_where_nothing_moved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines = Lines("answering", clock)
    for done in (0, 1, 2, 2, 3, 3):
        lines(done, 1000)
        clock.now += 31.0
    assert capsys.readouterr().err.splitlines() == [
        "answering: 0 of 1000 (0 %)",
        "answering: 1 of 1000 (0 %)",
        "answering: 2 of 1000 (0 %), 31.0 s each, 8:35:38 left",
        "answering: 3 of 1000 (0 %), 46.5 s each, 12:52:40 left",
    ]


def test_the_statuses_are_in_the_lines_and_a_quiet_run_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        with stages(quiet=quiet) as show:
            show(Progress("answering", 2, 2, {"ok": 1, "unparsed": 1}))
        assert capsys.readouterr().err == ("" if quiet else "answering: 2 of 2 (100 %); ok 1, unparsed 1\n")


WORDS = st.text("ab -_9−", max_size=40)


@given(st.integers(1, 9).flatmap(lambda n: st.lists(st.lists(WORDS, min_size=n, max_size=n), min_size=2, max_size=5)),
       st.integers(40, 120))  # fmt: skip
def test_a_table_is_no_wider_than_the_terminal_and_holds_every_cell(cells: list[list[str]], width: int) -> None:
    heads, *rows = cells
    shown = table(rows, heads, width=width)
    assert max(map(len, shown.splitlines())) <= width
    letters = Counter("".join(shown.split()).replace("-", ""))
    assert not Counter("".join("".join(map("".join, cells)).split()).replace("-", "")) - letters
    assert table(rows, heads, width=10_000) == tabulate(
        rows, heads, disable_numparse=True, colalign=["left", *["right"] * (len(heads) - 1)]
    )


def test_the_width_is_that_of_columns_and_none_where_no_terminal_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal_width() is None
    monkeypatch.setenv("COLUMNS", "90")
    assert terminal_width() == 90
