"""`viubench frontier`: thresholds of a scripted model, resumed to the same bytes, told only where they were asked."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import viubench
from viubench.cli import app
from viubench.errors import ViubenchError
from viubench.frontier.axes import AXES, chosen
from viubench.schema import CountItem, GroundItem, JigsawItem
from viubench.storage.run_dir import read_manifest
from viubench.video import synthetic

BREAKS = {"jigsaw": 4, "count": 3, "ground": 5}
"""The hardest level at which the scripted model still answers, but for a lapse in ten."""


class Scripted(viubench.Engine):
    """A model that breaks at a known level of each axis; `stop` ends it at that many answers, as a kill would."""

    kind = "scripted"
    needs_media = False
    max_in_flight = 8

    def __init__(self, stop: int = 10_000) -> None:
        self.stop = stop
        self.asked: list[str] = []

    async def generate(self, request: viubench.Request) -> viubench.Response:
        if len(self.asked) == self.stop:
            raise KeyboardInterrupt
        self.asked.append(request.sample.id)
        item = request.sample.pretext
        if isinstance(item, JigsawItem):
            known = item.n <= BREAKS["jigsaw"]
        elif isinstance(item, CountItem):
            known = item.max_instances <= BREAKS["count"]
        else:
            assert isinstance(item, GroundItem)
            known = item.segment[1] - item.segment[0] >= BREAKS["ground"]
        lapse = blake2b(request.sample.id.encode(), digest_size=1).digest()[0] < 26
        return viubench.Response(request.sample.answer_text if known and not lapse else "I cannot tell", "stop")

    def describe(self) -> dict[str, Any]:
        return {"model": "scripted", "version": "1"}


LEVELS = {
    "jigsaw.clips": (2, 3, 4, 5, 6),
    "counting.instances": (1, 2, 3, 4, 5),
    "grounding.length": (12, 9, 7, 5, 3, 1),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frontier")
    synthetic.draw(folder / "clips", 3, 0, seconds=6, size=(96, 64), fps=8)
    return folder


def options(folder: Path, **more: Any) -> dict[str, Any]:
    given = {"axes": list(LEVELS), "levels": LEVELS, "questions": 32, "frames": 24, "workers": 1}
    return {"videos": folder / "clips", "frame_cache": folder / "cache", **given, **more}


@pytest.fixture(scope="module")
def searched(clips: Path) -> Path:
    viubench.find_frontier(Scripted(), out=clips / "whole", **options(clips))
    return clips / "whole"


def test_known_thresholds_are_found_in_few_questions(searched: Path) -> None:
    (found,) = viubench.load_frontiers([searched])
    held = {"jigsaw.clips": (4, 5), "counting.instances": (3, 4), "grounding.length": (3, 5)}
    for name, (low, high) in held.items():
        axis = found.axes[name]
        assert axis.value is not None
        assert low - 0.3 <= axis.value <= high + 0.3, name
        first, last = axis.ci
        assert first is not None
        assert last is not None
        assert first <= axis.value <= last
        assert axis.questions <= 32
        assert axis.questions == sum(level.asked + level.failed for level in axis.levels)
    assert f"({found.axes['grounding.length'].ci[0]:.3g} to" in found.axes["grounding.length"].statement


def test_the_manifest_says_how_it_was_done(searched: Path) -> None:
    plan = read_manifest(searched).frontier
    assert plan is not None
    assert list(plan.axes) == list(LEVELS)
    jigsaw = plan.axes["jigsaw.clips"]
    assert [level.value for level in jigsaw.levels] == list(LEVELS["jigsaw.clips"])
    assert [level.guess for level in jigsaw.levels] == [0.5, 0.166667, 0.041667, 0.008333, 0.001389]
    assert plan.questions == 32
    assert plan.width == 1.5
    assert "Bernoulli" in plan.likelihood
    assert len((searched / "records.jsonl").read_text().splitlines()) < 96


def test_one_that_was_stopped_ends_equal_and_asks_nothing_twice(clips: Path, searched: Path) -> None:
    whole = viubench.find_frontier(Scripted(), out=searched, **options(clips))  # finished: nothing is asked
    first, second = Scripted(stop=13), Scripted()
    with pytest.raises(KeyboardInterrupt):
        viubench.find_frontier(first, out=clips / "stopped", **options(clips))
    assert not (clips / "stopped" / "frontier.json").exists()
    with (clips / "stopped" / "records.jsonl").open("a") as torn:
        torn.write('{"task": "jigsaw.cli')
    viubench.find_frontier(second, out=clips / "stopped", **options(clips))
    assert (clips / "stopped" / "frontier.json").read_bytes() == (searched / "frontier.json").read_bytes()
    recorded = len((searched / "records.jsonl").read_text().splitlines())
    assert len(second.asked) == recorded - sum(1 for one in first.asked if one not in second.asked)
    assert whole.questions == recorded


def test_another_plan_is_another_run(clips: Path, searched: Path) -> None:
    with pytest.raises(ViubenchError, match=r"plan of the frontier width: 1\.5 there, 2\.0 now"):
        viubench.find_frontier(Scripted(), out=searched, **options(clips, width=2.0))


def test_a_threshold_outside_the_levels_is_no_number(clips: Path) -> None:
    """The oracle never breaks; what answers nothing is broken at the easiest."""
    given = options(clips, axes="jigsaw.clips,grounding.length")
    given["levels"] = {name: LEVELS[name] for name in ("jigsaw.clips", "grounding.length")}
    best = viubench.find_frontier(engine="oracle", out=clips / "oracle", **given)
    worst = viubench.find_frontier(Silent(), out=clips / "silent", **given)
    assert best.axes["jigsaw.clips"].statement == "not broken at 6 clips"
    assert worst.axes["jigsaw.clips"].statement == "below 2 clips: broken at the easiest"
    assert worst.axes["grounding.length"].statement == "above 12 frames: broken at the easiest"
    for axis in (*best.axes.values(), *worst.axes.values()):
        assert axis.value is None
        assert axis.ci.count(None) >= 1


class Silent(Scripted):
    async def generate(self, request: viubench.Request) -> viubench.Response:
        return viubench.Response("I cannot tell", "stop")


class Failing(Scripted):
    async def generate(self, request: viubench.Request) -> viubench.Response:
        if blake2b(request.sample.id.encode(), digest_size=1).digest()[0] < 100:
            raise viubench.EngineError("gone")
        return await super().generate(request)


def test_what_the_harness_failed_to_ask_says_nothing_of_the_model(clips: Path) -> None:
    given = options(clips, axes="jigsaw.clips", levels={"jigsaw.clips": LEVELS["jigsaw.clips"]}, max_errors=1.0)
    found = viubench.find_frontier(Failing(), out=clips / "failing", **given)
    axis = found.axes["jigsaw.clips"]
    assert found.failed > 0
    assert axis.value is not None
    assert 3.7 <= axis.value <= 5.3
    assert not found.invalid


def test_answers_that_cannot_be_used_are_told_beside_the_threshold(clips: Path, searched: Path, tmp_path: Path) -> None:
    given = options(clips, axes="jigsaw.clips", levels={"jigsaw.clips": LEVELS["jigsaw.clips"]})
    silent = viubench.find_frontier(Silent(), out=clips / "silent-jigsaw", **given).axes["jigsaw.clips"]
    assert (silent.answers, silent.unusable) == (silent.questions, {"refused": silent.questions})
    assert [level.unusable for level in silent.levels] == [level.asked for level in silent.levels]
    words = ["frontier", str(clips / "silent-jigsaw"), str(searched), "--html", str(tmp_path / "page.html")]
    printed = " ".join(CliRunner().invoke(app, words, catch_exceptions=False).output.split())
    html = (tmp_path / "page.html").read_text()
    every = f"{silent.questions} of {silent.questions} (refused {silent.questions})"
    for shown in (printed, html):
        assert every in shown
        assert f"jigsaw.clips, scripted (1): {every} answers cannot be used and score 0" in shown
        assert "jigsaw.clips, scripted (2)" not in shown
    jigsaw = viubench.load_frontiers([searched])[0].axes["jigsaw.clips"]
    assert 0 < sum(jigsaw.unusable.values()) == sum(level.unusable for level in jigsaw.levels) <= jigsaw.answers / 2


def test_levels_that_cannot_be_are_left_out_with_the_reason(clips: Path) -> None:
    levels = {"jigsaw.clips": (2, 3, 12, 30), "grounding.strength": (1.5, 1.3, 1.01)}
    given = options(clips, axes=list(levels), levels=levels, questions=6)
    viubench.find_frontier(engine="oracle", out=clips / "partly", **given)
    plan = read_manifest(clips / "partly").frontier
    assert plan is not None
    assert plan.axes["jigsaw.clips"].left_out == {
        "12": "the question asks for digits, which end at 9",
        "30": "it needs 30 frames of a video, and is shown 24",
    }
    strength = plan.axes["grounding.strength"]
    assert [level.value for level in strength.levels] + [float(one) for one in strength.left_out] == [1.5, 1.3, 1.01]


@pytest.mark.parametrize(
    ("axes", "values", "message"),
    [
        ("jigsaw.clip", {}, "there is no axis 'jigsaw.clip'"),
        ("jigsaw.clips,jigsaw.clips", {}, "named twice"),
        ("jigsaw.clips:noise", {}, "no perturbation"),
        ("grounding.strength:mirror", {}, "no strength"),
        ("", {}, "no axis was named"),
        ("jigsaw.clips", {"jigsaw.clips": (2, 4, 3)}, "rise or fall"),
        ("jigsaw.clips", {"jigsaw.clips": (3,)}, "rise or fall"),
        ("jigsaw.clips", {"counting.frames": (1, 2)}, "none of the axes"),
    ],
)
def test_axes_that_are_none_are_refused(axes: str, values: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(ViubenchError, match=message):
        chosen(axes, values)


def test_every_axis_has_levels_in_the_recipe_viubench() -> None:
    assert [axis.name for axis in chosen(",".join(AXES))] == list(AXES)


def test_the_command_shows_several_on_one_page(searched: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    words = ["frontier", str(searched), str(searched), "--html", str(page), "--json", str(data)]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "jigsaw.clips" in done.output
    html = page.read_text()
    assert "scripted (1)" in html
    assert "scripted (2)" in html
    assert html.count('class="plot"') == 3
    assert "http" not in html.replace("http-equiv", "")
    assert [one["model"] for one in json.loads(data.read_text())] == ["scripted", "scripted"]


def test_the_command_needs_videos_or_folders(searched: Path) -> None:
    with pytest.raises(ViubenchError, match="a search needs --videos"):
        CliRunner().invoke(app, ["frontier", "--engine", "oracle", "--out", "x"], catch_exceptions=False)
    with pytest.raises(ViubenchError, match="and a model to run"):
        CliRunner().invoke(app, ["frontier", str(searched), "--model", "m"], catch_exceptions=False)


def test_a_frontier_is_no_run_with_scores(searched: Path) -> None:
    with pytest.raises(ViubenchError, match="has thresholds and no scores"):
        _ = viubench.load_run(searched).results
