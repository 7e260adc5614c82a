"""verl's own rollout worker with our agent loop: what vLLM is sent, what is trained on, what the reward is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
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
from trainer.verl import PINS, agent_loop, export
from trainer.verl.frames import FrameSource
from viubench.schema import Sample
from viubench.video.frames import VideoInput

TRUNCATED = 3
"""The place in the batch of the answer that the token limit ends."""

Told = list[tuple[Sample, tuple[VideoInput, ...]]]


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
def told(questions: Questions) -> Told:
    """The first step's questions and what they show."""
    return verl_exports.asked(questions, 1)


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


@pytest.fixture(scope="module")
def vllm_processor(tiny_model: Path) -> Any:
    """What the vLLM that verl pins makes the model's inputs with; it needs no GPU."""
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY

    config = ModelConfig(model=str(tiny_model), max_model_len=10_240, limit_mm_per_prompt={"video": 6})
    return MULTIMODAL_REGISTRY.create_processor(config)


def prompts(made: DataProto) -> list[list[int]]:
    """The prompts that are trained on, without padding."""
    tokens, mask = made.batch["prompts"], made.batch["attention_mask"]
    return [row[kept[: len(row)] > 0].tolist() for row, kept in zip(tokens, mask, strict=True)]


def in_vllm(processor: Any, asked: dict[str, Any]) -> list[int]:
    """The tokens that vLLM makes of a request of verl."""
    from vllm.multimodal.processing import ProcessorInputs, TimingContext

    items = processor.info.parse_mm_data({"video": asked["video_data"]})
    inputs = ProcessorInputs(asked["prompt_ids"], items, hf_processor_mm_kwargs=asked["mm_processor_kwargs"])
    tokens: list[int] = processor.apply(inputs, TimingContext())["prompt_token_ids"]
    return tokens


def test_what_is_trained_on_is_our_prompt_token_by_token(
    ours: tuple[AgentLoopWorker, Server, DataProto, DataProto], told: Told, questions: Questions
) -> None:
    worker, _, _, made = ours
    for prompt, (sample, videos) in zip(prompts(made), told, strict=True):
        assert prompt == verl_exports.written_out(worker.processor, sample.question, videos), sample.id
        most = export.most_tokens(sample, FrameSource.of(sample, questions.train), questions.store)
        assert most - 160 * len(videos) <= len(prompt) <= most
    assert made.batch["position_ids"].shape[1] == 4  # text, then time, height and width


def test_vllm_makes_the_same_prompt_of_what_it_is_sent(
    ours: tuple[AgentLoopWorker, Server, DataProto, DataProto], told: Told, vllm_processor: Any
) -> None:
    worker, server, _, made = ours
    for asked, prompt, (sample, videos) in zip(server.asked, prompts(made), told, strict=True):
        assert asked["prompt_ids"].count(worker.processor.video_token_id) == len(videos) == len(asked["video_data"])
        assert in_vllm(vllm_processor, asked) == prompt, sample.id
        for (frames, _), video in zip(asked["video_data"], videos, strict=True):
            assert np.array_equal(frames, video.pixels)


def test_without_our_loop_marks_are_lost_and_vllm_refuses_the_prompt(
    config: Any, told: Told, vllm_processor: Any
) -> None:
    """Why there is a loop of ours. When this fails, verl has mended it and `trainer.verl.agent_loop` can go."""
    worker, server, _, made = played(config, "single_turn_agent")
    for prompt, (sample, videos) in zip(prompts(made), told, strict=True):
        assert len(verl_exports.written_out(worker.processor, sample.question, videos)) - len(prompt) == 2 * len(videos)
    with pytest.raises(AssertionError, match="Failed to apply prompt replacement"):
        in_vllm(vllm_processor, server.asked[0])


def test_the_frames_of_the_training_are_ours(
    ours: tuple[AgentLoopWorker, Server, DataProto, DataProto], told: Told
) -> None:
    worker, _, _, made = ours
    for place, (_, videos) in enumerate(told):
        direct = worker.processor.video_processor(
            [video.pixels for video in videos], do_resize=False, do_sample_frames=False, return_tensors="pt"
        )
        pictures = made.non_tensor_batch["multi_modal_inputs"][place]
        assert torch.equal(pictures["pixel_values_videos"], direct["pixel_values_videos"])
        assert torch.equal(pictures["video_grid_thw"], direct["video_grid_thw"])


def test_other_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    agent_loop.require_pins()
    monkeypatch.setitem(PINS, "transformers", "5.1")  # of which 5.10 is none
    agent_loop.require_pins.cache_clear()
    with pytest.raises(RuntimeError, match=r"made for transformers 5\.1, not 5\.9"):
        agent_loop.require_pins()


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
