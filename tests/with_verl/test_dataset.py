"""verl's own dataset reads the exported parquet: our questions in our order, our frames, their times."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import verl_exports
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.trainer.ppo.utils import create_rl_dataset, create_rl_sampler
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn
from verl.utils.tokenizer import build_multimodal_processor_inputs, hf_processor, hf_tokenizer

from trainer.dataset import Questions
from trainer.verl import export
from viubench.engines.hf import encode
from viubench.runner.pipeline import frame_requests, shown
from viubench.schema import Sample
from viubench.video.frames import VideoInput


@pytest.fixture(scope="module")
def processor(tiny_model: Path) -> Any:
    return hf_processor(str(tiny_model))


@pytest.fixture(scope="module")
def data(config: Any, processor: Any, tiny_model: Path) -> RLHFDataset:
    found = create_rl_dataset(config.data.train_files, config.data, hf_tokenizer(str(tiny_model)), processor)
    assert type(found) is RLHFDataset
    return found


def asked(questions: Questions) -> Iterator[tuple[Sample, Sequence[VideoInput]]]:
    for step in range(questions.config.max_steps):
        for sample in questions.batch(step):
            wants = frame_requests(sample, questions.train)
            yield sample, shown(sample, [questions.store.get(c, r, s, z) for r, c, s, z in wants])


def looked_at(row: dict[str, Any], config: Any) -> list[tuple[torch.Tensor, dict[str, Any]]]:
    """What verl's rollout makes of a row's videos."""
    _, videos, _ = asyncio.run(RLHFDataset.process_multi_modal_info(row["raw_prompt"], 16, config.data))
    return list(videos)


def test_its_frames_and_times_are_the_runner_s(data: RLHFDataset, questions: Questions, config: Any) -> None:
    assert len(data) == 12
    many = set()
    for row, (sample, videos) in zip(data, asked(questions), strict=True):
        assert row["extra_info"]["id"] == sample.id
        read = looked_at(row, config)
        many.add(len(read))
        assert len(read) == len(videos)
        for (frames, told), video in zip(read, videos, strict=True):
            assert np.array_equal(frames.permute(0, 2, 3, 1).numpy(), video.pixels.astype(np.float32))
            assert told["frames_indices"] == list(range(len(video)))
            assert told["total_num_frames"] == pytest.approx(len(video))
            times = [video.times[0] + place / told["fps"] for place in told["frames_indices"]]
            assert np.abs(np.array(times) - np.array(video.times)).max() < 0.05
    assert many == {1, 6}


def test_its_model_inputs_are_our_engines_own(
    data: RLHFDataset, questions: Questions, config: Any, processor: Any
) -> None:
    for row, (sample, videos) in zip(data, asked(questions), strict=True):
        text = processor.apply_chat_template(row["raw_prompt"], tokenize=False, add_generation_prompt=True)
        kwargs = dict(config.data.mm_processor_kwargs)
        read = looked_at(row, config)
        theirs = build_multimodal_processor_inputs(processor, text=[text], videos=read, mm_processor_kwargs=kwargs)
        clocks = [verl_exports.on_the_pictures_clock(v, m["fps"]) for v, (_, m) in zip(videos, read, strict=True)]
        ours = encode(processor, sample.question, clocks)
        assert torch.equal(theirs["input_ids"], ours["input_ids"])
        assert torch.equal(theirs["video_grid_thw"], ours["video_grid_thw"])
        assert torch.equal(theirs["pixel_values_videos"], ours["pixel_values_videos"])
        assert theirs["input_ids"].shape[1] <= config.data.max_prompt_length


def test_its_batches_are_ours(data: RLHFDataset, questions: Questions, config: Any) -> None:
    sampler = create_rl_sampler(config.data, data)
    batches = list(
        StatefulDataLoader(data, batch_size=config.data.train_batch_size, sampler=sampler, collate_fn=collate_fn)
    )
    found = [[about["id"] for about in batch["extra_info"]] for batch in batches]
    assert found == [[sample.id for sample in questions.batch(step)] for step in range(questions.config.max_steps)]


def test_no_prompt_is_longer_than_was_reckoned(
    data: RLHFDataset, written: export.VerlExport, questions: Questions
) -> None:
    """The filter that verl runs itself, asked in this process, leaves nothing out."""
    kept = data.maybe_filter_out_long_prompts(data.dataframe)
    assert len(kept) == written.rows


def test_drawn_frames_give_the_golden_inputs(processor: Any, tmp_path: Path) -> None:
    """Fixed pictures: what verl reads of them is the golden that the tests without verl compare us with."""
    made = []
    for number, (frames, height, width, fps) in enumerate(verl_exports.SHAPES):
        video = verl_exports.drawn(frames, height, width, fps, seed=number)
        paths = [tmp_path / f"{number}-{place}.png" for place in range(frames)]
        for path, pixels in zip(paths, video.pixels, strict=True):
            cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        area = {"sample_fps": fps, "max_pixels": height * width, "min_pixels": height * width}
        turn = [{"role": "user", "content": [{"type": "video", "video": [str(p) for p in paths], **area}]}]
        _, [(tensor, told)], _ = asyncio.run(RLHFDataset.process_multi_modal_info(turn, 16, None))
        text = processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        inputs = build_multimodal_processor_inputs(
            processor, text=[text], videos=[(tensor, told)], mm_processor_kwargs={"do_resize": False}
        )
        made.append(
            {
                "frames": hashlib.sha256(tensor.byte().permute(0, 2, 3, 1).contiguous().numpy().tobytes()).hexdigest(),
                "fps": told["fps"],
                "indices": told["frames_indices"],
                "grid": inputs["video_grid_thw"][0].tolist(),
                "prompt": inputs["input_ids"][0].tolist(),
            }
        )
    assert made == verl_exports.golden("inputs.json", made)
