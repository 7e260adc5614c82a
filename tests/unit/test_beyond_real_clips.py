"""Real clips: what the blind probe of VIUBench is worth, and what the further pretext tasks give to who knows and who
guesses.

The folder is named by VIUBENCH_REAL_CLIPS.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import viubench

pytestmark = pytest.mark.clips

NEEDED = ("intel_bottles.mp4", "sam2_cups.mp4", "tc_puppy.mp4", "wm_tractor_vp9.webm", "bgs_cars_60fps.avi")
"""Few clips are read in little time."""


@pytest.fixture(scope="module")
def few(real_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of other places, codecs and containers."""
    folder = tmp_path_factory.mktemp("real") / "clips"
    folder.mkdir()
    found = [real_clips / name for name in NEEDED if (real_clips / name).exists()]
    if len(found) < 2:
        pytest.skip("VIUBENCH_REAL_CLIPS holds none of the clips that are asked about")
    for clip in found:
        (folder / clip.name).write_bytes(clip.read_bytes())
    return folder


@pytest.fixture(scope="module")
def built(few: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two questions of each VIUBench type, and of each further task."""
    folder = tmp_path_factory.mktemp("real-items")
    for recipe in ("viubench-mini", "pretext-more"):
        viubench.build_items(recipe, few, folder / recipe, n=2, workers=1, frame_cache=folder / "cache")
    return {recipe: folder / recipe for recipe in ("viubench-mini", "pretext-more")}


class Constant(viubench.Engine):
    """Knows the best constant answer to each type, and keeps what it was asked."""

    kind = "model"

    def __init__(self) -> None:
        self.asked: list[viubench.Request] = []

    def prepare(self, evaluators: Any, blind_answers: Any) -> None:
        self.texts = {name: text for own in blind_answers.values() for name, text in own.items()}

    async def generate(self, request: viubench.Request) -> viubench.Response:
        await asyncio.sleep(0)
        self.asked.append(request)
        return viubench.Response(self.texts[request.sample.id], "stop")

    def describe(self) -> dict[str, Any]:
        return {"model": "model"}


def test_the_blind_probe_of_each_viubench_type_is_its_blind_row(built: dict[str, Path], tmp_path: Path) -> None:
    """All questions of a type read alike without their video: a model can but say one answer to all, and the best of
    those is the blind row."""
    model = Constant()
    probed = viubench.evaluate(tasks=built["viubench-mini"], engine=model, probe="blind", out=tmp_path / "probe")
    row = viubench.evaluate(tasks=built["viubench-mini"], engine="blind", out=tmp_path / "row")
    assert len(probed.results.tasks) == 9
    for name, task in probed.results.tasks.items():
        assert task.value == pytest.approx(task.blind, abs=1e-6), name
        assert task.value == row.results.tasks[name].value, name
        asked = [request.sample for request in model.asked if request.sample.task == name]
        assert len(asked) == 2
        assert len({(sample.question, sample.options, sample.clips) for sample in asked}) == 1, name
    assert not any(request.videos for request in model.asked)


def test_who_knows_scores_all_and_who_guesses_what_is_said(built: dict[str, Path], tmp_path: Path) -> None:
    items = built["pretext-more"]
    runs = {
        engine: viubench.evaluate(tasks=items, engine=engine, out=tmp_path / engine) for engine in ("oracle", "blind")
    }
    assert len(runs["oracle"].results.tasks) == 6
    for name, task in runs["oracle"].results.tasks.items():
        assert task.value == 1.0, name
        assert task.chance is not None
        assert 0 < task.chance < 1, name
        assert runs["blind"].results.tasks[name].value == pytest.approx(task.blind, abs=1e-6), name
