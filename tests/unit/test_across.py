"""`viubench compare --across`: settings paired by item, what differs by name, refusals, and a page that stays text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from paired_runs import Row, rows, write
from typer.testing import CliRunner

import viubench
from reports.ci.across import text
from reports.pages.across_page import render
from viubench.cli import app
from viubench.comparison.pair import Incomparable
from viubench.errors import Exit
from viubench.schema import FrameInfo, Record
from viubench.schema.across import AcrossReport

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m\u202e\x00"
FRAMES = {8: 0.3, 16: 0.6, 32: 0.6}


def scores(share: float, n: int = 120) -> list[float]:
    return [float(k % 10 < 10 * share) for k in range(n)]


def at(folder: Path, frames: int, tasks: Mapping[str, Sequence[Row]] | None = None, **more: Any) -> Path:
    """A run at so many frames; a larger one knows what a smaller one does."""
    protocol = {"sampling": {"frames": frames}, "hash": f"h{frames}"} | more.pop("protocol", {})
    own = tasks or {"t": rows(scores(FRAMES[frames]))}
    return write(folder / f"at-{frames}{more.get('model', '')[:3]}", own, protocol=protocol, **more)


@pytest.fixture
def sweep(tmp_path: Path) -> list[Path]:
    return [at(tmp_path, frames) for frames in (32, 8, 16)]


def test_settings_are_paired_and_the_plateau_is_named(sweep: list[Path]) -> None:
    found = viubench.compare_across(sweep, margin=0.05)
    assert [setting.label for setting in found.settings] == ["frames 8", "frames 16", "frames 32"]
    assert (found.budget, found.varied, found.n, found.clusters) == ("frames", ["frames"], 120, 120)
    assert found.enough == 1
    assert found.conclusion == "frames 16 is enough: no other setting is better by more than 5 points"
    small, middle, large = found.settings
    assert [setting.value for setting in found.settings] == pytest.approx([0.3, 0.6, 0.6])
    assert large.first is None
    assert small.first is not None  # to the run that was named first
    assert (small.first.differs, small.first.difference) == ("frames 32 -> 8, all else equal", pytest.approx(-0.3))
    assert small.first.word == "worse"
    assert middle.step is not None
    assert (middle.step.differs, middle.step.better) == ("frames 8 -> 16, all else equal", 36)
    assert large.step is not None
    assert (large.step.better, large.step.worse, large.step.word) == (0, 0, "no difference shown")
    a, b = viubench.compare_runs(sweep[1], sweep[1]).tasks["t"], middle.step
    assert (b.units, b.clusters) == (a.diff.n, a.diff.clusters)


def test_the_difference_is_that_of_two_runs_of_one_protocol(tmp_path: Path) -> None:
    one, two = (rows(scores(share), videos=30) for share in (0.3, 0.6))
    alike = [write(tmp_path / name, {"t": own}) for name, own in (("a", one), ("b", two))]
    apart = [at(tmp_path / "apart", frames, {"t": own}) for frames, own in ((8, one), (16, two))]
    step = viubench.compare_across(apart).settings[1].step
    assert step is not None
    expected = viubench.compare(*alike).tasks["t"]
    assert (step.difference, step.ci, step.se, step.p) == (
        expected.difference, expected.ci, expected.se, expected.p
    )  # fmt: skip


def test_several_differences_are_corrected(tmp_path: Path) -> None:
    made = [at(tmp_path, frames) for frames in FRAMES]
    two, three = (viubench.compare_across(made[:count]) for count in (2, 3))
    for report, tests in ((two, 1), (three, 2)):
        first = report.settings[1].first
        assert first is not None
        assert first.holm == pytest.approx(min(1, first.p * tests))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: replace(row, target="B"), "with another true answer"),
        (lambda row: replace(row, id="other"), "only in"),
        (lambda row: replace(row, cluster="other"), "of another source video"),
    ],
)
def test_other_items_are_refused(tmp_path: Path, change: Any, said: str) -> None:
    own = rows(scores(0.3))
    made = [at(tmp_path, 8, {"t": own}), at(tmp_path, 16, {"t": [change(own[0]), *own[1:]]})]
    done = CliRunner().invoke(app, ["compare", "--across", *map(str, made)])
    assert isinstance(done.exception, Incomparable)
    assert said in done.exception.message
    assert done.exception.exit_code == Exit.INVALID_RUN


def test_other_refusals(tmp_path: Path, sweep: list[Path]) -> None:
    several = at(tmp_path / "n", 16, {"t": rows(scores(0.6))}, protocol={"decoding": {"samples": 2}})
    with pytest.raises(Incomparable, match="120 of 240 answers"):
        viubench.compare_across([sweep[0], several])
    other = at(tmp_path / "d", 16, about={"hash": "other"})
    with pytest.raises(Incomparable, match="defined differently"):
        viubench.compare_across([sweep[0], other])
    with pytest.raises(Incomparable, match="one run alone"):
        viubench.compare_across(sweep[:1])
    lone = at(tmp_path / "l", 16, {"t": rows(scores(0.6)), "u": rows(scores(0.6))})
    with pytest.raises(Incomparable, match="'u' is not in"):
        viubench.compare_across([lone, sweep[0]])
    assert "u" in viubench.compare_across([lone, sweep[0]], common=True).left_out
    with pytest.raises(viubench.ViubenchError, match="two runs are compared, 3 were named") as error:
        CliRunner().invoke(app, ["compare", *map(str, sweep)], catch_exceptions=False)
    assert "--across" in str(error.value.hint)


def test_all_that_differs_is_named(tmp_path: Path) -> None:
    one = at(tmp_path, 8, model="one")
    two = at(tmp_path, 16, model="two", protocol={"chat": {"system": "Look well."}, "prompt": "published"})
    found = viubench.compare_across([one, two])
    assert found.varied == ["frames", "system", "prompt", "model"]
    step = found.settings[1].step
    assert step is not None
    assert "frames 8 -> 16, system" in step.differs
    assert "prompt default -> published, model one -> two, all else equal" in step.differs
    assert found.budget == "the order named"
    same = viubench.compare_across([one, at(tmp_path / "again", 8, model="one")])
    assert same.varied == []
    assert "they are repeats" in text(same)


def test_short_videos_that_have_no_more_frames_are_counted(tmp_path: Path) -> None:
    made = [at(tmp_path, frames) for frames in (8, 16)]
    for path, frames in zip(made, (8, 16), strict=True):
        lines = [Record.model_validate_json(line) for line in (path / "records.jsonl").read_bytes().splitlines()]
        shown = [
            FrameInfo(indices=[0], times=[0.0], height=32, width=32, hash="short" if k % 4 else f"{k} of {frames}")
            for k in range(len(lines))
        ]
        told = [line.model_copy(update={"frames": info}) for line, info in zip(lines, shown, strict=True)]
        (path / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in told))
    found = viubench.compare_across(made)
    assert [setting.same_frames for setting in found.settings] == [None, 0.75]
    assert "75 % of the questions were shown the same frames at both" in text(found)
    assert "75 %" in render(found)


def test_the_command_prints_and_writes(tmp_path: Path, sweep: list[Path]) -> None:
    out = [tmp_path / "across.json", tmp_path / "page.html"]
    done = CliRunner().invoke(
        app,
        ["compare", "--across", *map(str, sweep), "--margin", "0.05", "--json", str(out[0]), "--html", str(out[1])],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    assert "frames 16 is enough" in done.output
    assert "frames 8 -> 16, all else equal: +30.0" in done.output
    report = AcrossReport.model_validate_json(out[0].read_bytes())
    assert report == viubench.compare_across(sweep, margin=0.05)
    frame = report.to_frame()
    assert list(frame["frames"]) == [8, 16, 32]
    assert list(frame["as_good_as_any"]) == [False, True, True]
    page = unescape(out[1].read_text())
    assert "default-src 'none'" in page
    assert page == unescape(render(report))
    for words in ("Where does more stop helping?", "lower bound above minus the margin, 5 points", "at most 5 %"):
        assert words in page


def test_others_text_stays_text(tmp_path: Path) -> None:
    tasks = {f"t{HOSTILE}": rows(scores(0.3)), "u": rows(scores(0.6))}
    made = []
    for k in (1, 2):
        protocol = {"chat": {"system": HOSTILE * k}, "hash": f"{k}"}
        made.append(write(tmp_path / f"{k}", tasks, model=f"{HOSTILE}{k}", protocol=protocol))
    report = viubench.compare_across(made)
    page, shown = render(report), text(report)
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert not re.search("[\x00\x1b\u202e]", page)
    assert not re.search("[\x00\x1b\u202e]", shown)
