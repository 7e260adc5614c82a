"""verl's own rollout worker with our agent loop: what vLLM is sent, what is trained on, what the reward is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import verl_exports
from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.protocol import DataProto
from verl.trainer.ppo.utils import create_rl_dataset
from verl.utils.dataset.rl_dataset import collate_fn
from verl.workers.rollout.replica import TokenOutput

from trainer.dataset import Questions
from viubench.engines.hf import encode
from viubench.runner.pipeline import frame_requests, shown
from viubench.schema import Sample
from viubench.video.frames import VideoInput

TRUNCATED = 3
"""The place in the batch of the answer that the token limit ends."""


class Server:
    """Stands for verl's vLLM servers: keeps what it is asked, and answers with the truth of the next question."""

    def __init__(self, tokenizer: Any, answers: Sequence[str], limit: int) -> None:
        self.asked: list[dict[str, Any]] = []
        self.tokenizer, self.answers, self.limit = tokenizer, list(answers), limit

    async def generate(self, *, prompt_ids: list[int], **request: Any) -> TokenOutput:
        place = len(self.asked)
        self.asked.append({"prompt_ids": prompt_ids, **request})
        text = self.answers[place] if place == TRUNCATED else self.answers[place] + "<|im_end|>"
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if place == TRUNCATED:
            tokens = self.tokenizer(" " * self.limit, add_special_tokens=False)["input_ids"][: -len(tokens)] + tokens
        return TokenOutput(token_ids=tokens, log_probs=[-1.0] * len(tokens), stop_reason="completed")


@pytest.fixture(scope="module")
def told(questions: Questions) -> list[tuple[Sample, Sequence[VideoInput]]]:
    """The first step's questions and what they show."""
    found = []
    for sample in questions.batch(0):
        wants = frame_requests(sample, questions.train)
        found.append((sample, shown(sample, [questions.store.get(c, r, s, z) for r, c, s, z in wants])))
    return found


def played(config: Any, loop: str) -> tuple[AgentLoopWorker, Server, DataProto, DataProto]:
    """The first batch through verl's worker: itself, the server it asked, the rows, and what is to be trained on."""
    config = OmegaConf.merge(config, {"data": {"max_response_length": 48}})
    config.actor_rollout_ref.rollout.agent.default_agent_loop = loop
    worker = AgentLoopWorker(config, None)
    data = create_rl_dataset(config.data.train_files, config.data, worker.tokenizer, worker.processor)
    batch = collate_fn([data[place] for place in range(6)])
    rows = DataProto.from_single_dict(batch)
    worker.llm_client = Server(worker.tokenizer, [about["answer"] for about in batch["extra_info"]], limit=48)

    async def in_turn() -> DataProto:
        parts = [await worker.generate_sequences(rows[place : place + 1]) for place in range(6)]
        return DataProto.concat(parts)

    return worker, worker.llm_client, rows, asyncio.run(in_turn())


@pytest.fixture(scope="module")
def ours(config: Any) -> tuple[AgentLoopWorker, Server, DataProto, DataProto]:
    return played(config, "viubench")


def marks(worker: AgentLoopWorker, tokens: Sequence[int]) -> int:
    return sum(int(token) == worker.processor.video_token_id for token in tokens)


def test_vllm_is_sent_one_mark_for_each_video(
    ours: tuple[AgentLoopWorker, Server, DataProto, DataProto], told: list[tuple[Sample, Sequence[VideoInput]]]
) -> None:
    worker, server, _, _ = ours
    assert len(server.asked) == 6
    for asked, (sample, videos) in zip(server.asked, told, strict=True):
        assert marks(worker, asked["prompt_ids"]) == len(videos) == len(asked["video_data"])
        assert " seconds>" not in worker.tokenizer.decode(asked["prompt_ids"])
        assert asked["mm_processor_kwargs"] == {"do_resize": False}
        for (frames, _), video in zip(asked["video_data"], videos, strict=True):
            assert np.array_equal(frames.permute(0, 2, 3, 1).numpy(), video.pixels.astype(np.float32)), sample.id


def test_without_our_loop_it_is_sent_the_frames_written_out(config: Any) -> None:
    """Why there is a loop of ours. When this fails, verl has mended it and `trainer.verl.agent_loop` can go."""
    worker, server, _, _ = played(config, "single_turn_agent")
    assert all(marks(worker, asked["prompt_ids"]) > len(asked["video_data"]) for asked in server.asked)


def test_what_is_trained_on_is_our_own_prompt_and_frames(
    ours: tuple[AgentLoopWorker, Server, DataProto, DataProto], told: list[tuple[Sample, Sequence[VideoInput]]]
) -> None:
    worker, server, _, made = ours
    for place, (sample, videos) in enumerate(told):
        rates = [told["fps"] for _, told in server.asked[place]["video_data"]]
        clocks = [verl_exports.on_the_pictures_clock(video, fps) for video, fps in zip(videos, rates, strict=True)]
        inputs = encode(worker.processor, sample.question, clocks)
        prompt = made.batch["prompts"][place][made.batch["attention_mask"][place][: made.batch["prompts"].shape[1]] > 0]
        assert prompt.tolist() == inputs["input_ids"][0].tolist()
        pictures = made.non_tensor_batch["multi_modal_inputs"][place]
        assert torch.equal(pictures["pixel_values_videos"], inputs["pixel_values_videos"])
        assert torch.equal(pictures["video_grid_thw"], inputs["video_grid_thw"])
    assert made.batch["position_ids"].shape[1] == 4  # text, then time, height and width


def test_the_reward_knows_which_answer_was_cut(
    ours: tuple[AgentLoopWorker, Server, DataProto, DataProto], config: Any
) -> None:
    _, _, rows, made = ours

    async def graded() -> list[dict[str, Any]]:
        rewards = RewardLoopWorker(config)
        found = []
        for place in range(6):
            columns = {key: rows.non_tensor_batch[key][place : place + 1] for key in ("data_source", "reward_model")}
            columns["extra_info"] = np.array([dict(rows.non_tensor_batch["extra_info"][place])])
            columns["tool_extra_fields"] = np.array([{"cut": made.non_tensor_batch["cut"][place]}])
            found.append(await rewards.compute_score(DataProto(made[place : place + 1].batch, columns)))
        return found

    scores = [one["reward_score"] for one in asyncio.run(graded())]
    assert scores == pytest.approx([float(place != TRUNCATED) for place in range(6)])
