"""verl's data set reads the exported parquet: our questions in our order, our frames, their times."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import verl_exports
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.trainer.ppo.utils import create_rl_dataset, create_rl_sampler
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn
from verl.utils.tokenizer import hf_processor, hf_tokenizer

from trainer.dataset import Questions
from trainer.verl.dataset import FrameCacheDataset
from viubench.video import timestamps


@pytest.fixture(scope="module")
def data(config: Any, tiny_model: Path) -> RLHFDataset:
    model = str(tiny_model)
    found = create_rl_dataset(config.data.train_files, config.data, hf_tokenizer(model), hf_processor(model))
    assert type(found) is FrameCacheDataset
    return found


def test_its_frames_and_times_are_the_runner_s(data: RLHFDataset, questions: Questions, config: Any) -> None:
    assert len(data) == 12
    many = set()
    for row, (sample, videos) in zip(data, verl_exports.asked(questions, 2), strict=True):
        assert row["extra_info"]["id"] == sample.id
        images, read, sounds = asyncio.run(
            FrameCacheDataset.process_multi_modal_info(row["raw_prompt"], 16, config.data)
        )
        assert images is None
        assert sounds is None
        many.add(len(read))
        for (frames, told), video in zip(read, videos, strict=True):
            assert np.array_equal(frames, video.pixels)
            times = [place / told["fps"] for place in told["frames_indices"]]
            assert times == pytest.approx(video.times, abs=timestamps.TOLERANCE)
    assert many == {1, 6}


def test_its_batches_are_ours(data: RLHFDataset, questions: Questions, config: Any) -> None:
    sampler = create_rl_sampler(config.data, data)
    batches = list(
        StatefulDataLoader(data, batch_size=config.data.train_batch_size, sampler=sampler, collate_fn=collate_fn)
    )
    found = [[about["id"] for about in batch["extra_info"]] for batch in batches]
    assert found == [[sample.id for sample in questions.batch(step)] for step in range(questions.config.max_steps)]
