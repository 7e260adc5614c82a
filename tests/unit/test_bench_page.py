"""The page of figures is what the commands printed, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.pages import leaderboard_page
from tests.bench import document, machine, page, startup
from tests.bench.commands.engines import _counts
from viubench.errors import ViubenchError

ROOT = Path(__file__).parents[2]


ROWS = [startup.StartRow("viubench --help", 0.5)]


@pytest.mark.parametrize("text", ["", "0", "11", "1,x", "3,,1"])
def test_numbers_of_questions_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ViubenchError, match="no list of numbers"):
        _counts(text)
    assert _counts("1,3,10") == (1, 3, 10)


def test_a_page_shows_what_was_printed_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ["/x/tests/bench/__main__.py", "peers", "--videos", "/home/me/clips", "--json", "/tmp/peers.json", "--quiet"]
    monkeypatch.setattr("sys.argv", line)
    machine.write(tmp_path / "peers.json", ROWS, "side  seconds\nours  8.0")
    page = document.render(document.read(tmp_path))
    assert "$ python -m tests.bench peers --videos clips --quiet\nside  seconds\nours  8.0\n```" in page
    assert "/home/me" not in page
    assert "## Beside other programs" in page
    assert "## Start-up" not in page, "there are no figures of it"
    found = json.loads((tmp_path / "peers.json").read_text())
    assert len(found["rows"]) == len(ROWS)


def test_files_that_are_no_figures_are_named(tmp_path: Path) -> None:
    with pytest.raises(ViubenchError, match=r"peers\.json"):
        document.read(tmp_path)
    (tmp_path / "build.json").write_text('{"rows": []}')
    with pytest.raises(ViubenchError) as error:
        document.read(tmp_path)
    assert str(error.value.where).endswith("build.json")


def test_the_page_of_this_repository_is_the_one_its_figures_give() -> None:
    figures = document.read(ROOT / "docs" / "performance")
    assert set(figures) == set(document.SECTIONS)
    assert (ROOT / "docs" / "performance.md").read_text() == document.render(figures)


def test_starts_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    few = dict(list(startup.COMMANDS.items())[:2])
    monkeypatch.setattr(startup, "COMMANDS", few)
    rows = startup.measure(1)
    assert [one.what for one in rows] == list(few)
    assert all(one.seconds > 0 for one in rows)
    assert "python -c pass" in startup.table(rows)


def test_a_page_of_made_up_runs_is_written_and_weighed(tmp_path: Path) -> None:
    terms, out = page.PageSettings(tasks=4, models=2, items=12), tmp_path / "page.html"
    row = page.measure(lambda runs, to: leaderboard_page.write(runs, to, []), terms, out)
    assert row.answers == 96
    assert row.megabytes == round(out.stat().st_size / 1e6, 2)
    assert "bench_permutation_02" in out.read_text()
    assert "4 tasks x 2 models x 12 items" in page.table(row, terms)
