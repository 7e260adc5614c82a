"""transformers on the tiny checkpoint: what the model reads, and that answers depend on the frames."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from engine_requests import ask, request, standard, video

from viubench.engines import tiny_checkpoints
from viubench.engines.base import Response
from viubench.engines.hf import HfEngine
from viubench.errors import EngineError, ViubenchError
from viubench.video import timestamps

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> HfEngine:
    opened = HfEngine(str(tiny_model), {"device": "cpu"})
    asyncio.run(opened.start())
    return opened


def test_the_prompt_tells_the_true_times_and_frames_keep_their_size(engine: HfEngine) -> None:
    for asked in standard():
        inputs = engine.encode(asked)
        text = engine._processor.tokenizer.decode(inputs["input_ids"][0])
        metas = [timestamps.metadata(clip) for clip in asked.videos]
        assert timestamps.missing_timestamps(text, metas) is None
        grids = [[-(-len(clip) // 2), clip.pixels.shape[1] // 16, clip.pixels.shape[2] // 16] for clip in asked.videos]
        assert inputs["video_grid_thw"].tolist() == grids


def test_quoted_control_tokens_stay_text(engine: HfEngine) -> None:
    ids = engine.encode(standard()[-1])["input_ids"][0].tolist()
    end, pad = engine._processor.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|video_pad|>"])
    assert ids.count(end) == 1
    assert ids.count(pad) == 4 * 2 * 2


def test_answers_are_readable_repeatable_and_about_the_video(hf_answers: list[str], tiny_model: Path) -> None:
    assert all(text and set(text) <= set(tiny_checkpoints.READABLE) for text in hf_answers)
    assert len(set(hf_answers[:3])) == 3, "three videos, one question: the frames must matter"
    again = ask(HfEngine(str(tiny_model), {"device": "cpu"}), standard()[:1])[0]
    assert isinstance(again, Response)
    assert (again.text, again.finish_reason) == (hf_answers[0], "length")
    assert again.usage["completion_tokens"] == 12


def test_a_bad_request_fails_alone(engine: HfEngine) -> None:
    with pytest.raises(EngineError):
        asyncio.run(engine.generate(request("<video>\nWhen?", video(0, 4, 40, 40))))


def test_equal_seeds_write_equal_checkpoints(tiny_model: Path, tmp_path: Path) -> None:
    tiny_checkpoints.write(tmp_path / "same", seed=0)
    tiny_checkpoints.write(tmp_path / "other", seed=1)
    names = sorted(path.name for path in tiny_model.iterdir())
    assert [name for name in names if (tmp_path / "same" / name).read_bytes() != (tiny_model / name).read_bytes()] == []
    weights = "model.safetensors"
    assert (tmp_path / "other" / weights).read_bytes() != (tiny_model / weights).read_bytes()
    assert sum(path.stat().st_size for path in tiny_model.iterdir()) < 4_000_000


def test_a_folder_in_use_is_not_overwritten(tiny_model: Path) -> None:
    with pytest.raises(ViubenchError, match="not an empty folder"):
        tiny_checkpoints.write(tiny_model)


def test_a_checkpoint_that_does_not_load_is_said(tiny_model: Path, tmp_path: Path) -> None:
    for path in tiny_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"qwen3_vl"', '"no_such_model"'))
    with pytest.raises(ViubenchError, match="could not open the model"):
        asyncio.run(HfEngine(str(tmp_path), {"device": "cpu"}).start())
