"""The trained tiny model that comes along: it opens in every engine, and it looks at its videos."""

from __future__ import annotations

from pathlib import Path

import inprocess
import pytest

import viubench
from viubench.storage.run_dir import read_records, read_results

pytest.importorskip("transformers")
pytestmark = pytest.mark.engine

MODEL = Path(__file__).parents[2] / "trainer" / "tiny-viu"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items of clips that no training saw."""
    root = tmp_path_factory.mktemp("dusk")
    inprocess.viubench("clips", "--out", root / "clips", "--n", 24, "--seed", 987, "--seconds", 8, "--size", "64x64",
                    "--fps", 4, "--dusk")  # fmt: skip
    inprocess.viubench("build", "--recipe", "tiny", "--videos", root / "clips", "--out", root / "items", "--n", 48,
                    "--frame-cache", root / "frames")  # fmt: skip
    return root


def run(world: Path, engine: str, *more: object) -> Path:
    out = world / engine
    inprocess.viubench("run", "--model", MODEL, "--engine", engine, "--tasks", world / "items", "--out", out,
                    "--frame-cache", world / "frames", *more)  # fmt: skip
    return out


def test_it_scores_far_above_every_answer_that_never_looks(world: Path) -> None:
    pytest.importorskip("vllm")
    results = read_results(run(world, "vllm"))
    for name in ("tiny_ground", "tiny_jigsaw", "tiny_count"):
        task = results.tasks[name]
        assert task.blind is not None
        assert task.value > task.blind + 0.2, name
        assert task.ci[0] > task.blind, name


def test_transformers_gives_vllm_s_answers(world: Path) -> None:
    pytest.importorskip("vllm")
    ours = world / "vllm" if (world / "vllm").exists() else run(world, "vllm")
    vllm, hf = ({record.id: record.response for record in read_records(folder)}
                for folder in (ours, run(world, "hf", "--limit", 16)))  # fmt: skip
    same = sum(vllm[name] == answer for name, answer in hf.items())
    assert len(hf) == 48
    assert same >= 46, f"{48 - same} of 48 answers differ"


def test_a_search_for_its_thresholds_tells_it_from_an_untrained_model(
    world: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """It was trained on altered parts of 2 to 4 of 8 frames; random weights answer in no form that is asked for."""
    pytest.importorskip("vllm")
    given = {
        "engine": "vllm", "videos": world / "clips", "recipe": "tiny", "axes": "grounding.length",
        "levels": {"grounding.length": (4, 3, 2, 1)}, "questions": 16, "frame_cache": world / "frames",
    }  # fmt: skip
    trained = viubench.find_frontier(MODEL, out=tmp_path / "trained", **given).axes["grounding.length"]
    untrained = viubench.find_frontier(tiny_model, out=tmp_path / "untrained", **given).axes["grounding.length"]
    assert trained.places[0] > untrained.places[2], (trained.statement, untrained.statement)
    assert trained.beyond != "below"
    assert untrained.statement.startswith("above 4 frames: broken at the easiest")
    assert sum(trained.unusable.values()) < trained.answers / 2
    assert sum(untrained.unusable.values()) == untrained.answers > 0
    again = viubench.find_frontier(MODEL, out=tmp_path / "trained", **given).axes["grounding.length"]
    assert again == trained


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 4_000_000
