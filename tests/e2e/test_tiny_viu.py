"""The trained tiny model that comes along: it opens in every engine, and it looks at its videos."""

from __future__ import annotations

from pathlib import Path

import inprocess
import pytest

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


def run(world: Path, engine: str) -> Path:
    out = world / engine
    inprocess.viubench("run", "--model", MODEL, "--engine", engine, "--tasks", world / "items", "--out", out,
                    "--frame-cache", world / "frames")  # fmt: skip
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
    answers = [
        {
            record.id: record.response
            for record in read_records(world / engine if (world / engine).exists() else run(world, engine))
        }
        for engine in ("vllm", "hf")
    ]
    same = sum(answers[0][name] == answers[1][name] for name in answers[0])
    assert len(answers[0]) == 144
    assert same >= 140, f"{144 - same} of 144 answers differ"


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 4_000_000
