"""The page of figures is what the commands printed, and nothing else; contests count and compare what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.pages import leaderboard_page
from tests.bench import document, machine, page, peers, startup
from tests.bench.commands.engines import _counts
from tests.bench.contestant import Work
from viubench.errors import ViubenchError

ROOT = Path(__file__).parents[2]


def row(side: str, questions: int, ran: str, seconds: float, ratio: float | None = None) -> peers.PeerRow:
    return peers.PeerRow(side, questions, ran, seconds, 2 * seconds, 48, 900, ratio)


def ours(questions: int, cold: float, warm: float, again: float, decode: float) -> list[peers.PeerRow]:
    passes = {"cold": cold, "warm": warm, "next": again, "decode": decode}
    return [row("viubench", questions, ran, seconds) for ran, seconds in passes.items()]


ROWS = [
    *ours(3, 8.0, 1.0, 3.0, 5.0),
    row("vllm_generate", 3, "cold", 40.0, 5.0),
    row("vllm_generate", 3, "warm", 30.0, 30.0),
    *ours(10, 12.0, 2.0, 8.0, 5.0),
    row("vllm_generate", 10, "cold", 120.0, 10.0),
]


def test_the_headline_is_the_ratio_of_the_pass_it_names() -> None:
    assert peers.ratios(ROWS) == {"vllm_generate": {"cold": 5.0, "warm": 30.0, "ten": 10.0}}
    told = peers.table(ROWS, peers.PeerSettings(), cores=2)
    assert "vllm_generate" in told
    assert "30.0" in told


def test_the_floor_is_what_decoding_and_the_engine_cost_on_the_cores_there_are() -> None:
    """A pass here keeps two cores busy: what takes both in turn cannot overlap on two, and can on four."""
    first, second = peers.floors(ROWS, cores=2)
    assert (first["questions"], first["larger"], first["busy"]) == (3, 1.6, 2.0)
    assert (first["floor"], first["left"], first["vllm_generate / floor"]) == (8.0, 0.0, 5.0)
    assert (second["larger"], second["floor"]) == (1.5, 13.0)
    first, second = peers.floors(ROWS, cores=4)
    assert (first["floor"], first["left"], first["vllm_generate / floor"]) == (5.0, 0.375, 8.0)
    assert second["floor"] == 8.0


def test_answers_of_both_sides_are_compared_one_by_one() -> None:
    ours = (2.0, ["a", "b", "c", "d"])
    found = peers._row(
        "vllm",
        1,
        {"name": "cold", "seconds": 5.0, "cpu": 1.0, "answers": ["a", "x", "c", "y"], "vision": [512, 514]},
        1,
        ours,
    )
    assert (found.ratio, found.same, found.vision) == (2.5, 0.5, 513.0)


def test_questions_of_a_clip_are_asked_side_by_side() -> None:
    work = Work("viubench", "m", ("a.mp4", "b.mp4"), "w.mp4", ("first?", "second?"), 32, 65536, 16, 2)
    assert [clip for clip, _ in work.asked()] == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]


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
    assert "## Beside lmms-eval" in page
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
