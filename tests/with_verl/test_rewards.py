"""Rewards by verl's own reward manager, which loads the exported file, against those of our own loop."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import verl_exports
from tensordict import TensorDict
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.trainer.ppo.reward import load_reward_manager
from verl.utils.tokenizer import hf_tokenizer

import evaluators
from trainer.rewards import Kind, Rewarder
from trainer.verl import export, reward
from viubench.schema import Clip, Sample


def question(task: str) -> Sample:
    """The question of a truth, as our own loop has it."""
    truth = verl_exports.TRUTHS[task]
    return Sample(
        id=task, task=task, clips=(Clip(path="a.mp4"),), question="?", cluster="a",
        target=truth["target"], answer_text=truth["answer"], params=truth["params"],
    )  # fmt: skip


def row(tokenizer: Any, answered: verl_exports.AnswerGroup, kind: Kind) -> DataProto:
    """One finished answer as verl's rollout hands it to its reward workers: tokens, and the parquet's columns."""
    tokens = tokenizer(answered.text + "<|im_end|>", add_special_tokens=False)["input_ids"]
    length = 96
    responses = torch.full((1, length), tokenizer.pad_token_id)
    responses[0, : len(tokens)] = torch.tensor(tokens)
    mask = torch.zeros(1, 4 + length, dtype=torch.long)
    mask[0, : 4 + len(tokens)] = 1
    truth = {key: verl_exports.TRUTHS[answered.task][key] for key in ("evaluator", "target", "params")}
    columns: dict[str, Any] = {
        "data_source": reward.PREFIX + answered.task,
        "reward_model": {
            "style": "rule",
            "ground_truth": json.dumps(truth | {"task": answered.task, "kind": kind, "options": []}),
        },
        "extra_info": {"index": 0, "id": answered.task},
        "tool_extra_fields": {"cut": answered.cut, "turn_scores": []},
    }
    batch = TensorDict({"responses": responses, "attention_mask": mask}, batch_size=1)
    return DataProto(batch=batch, non_tensor_batch={key: np.array([value]) for key, value in columns.items()})


@pytest.fixture(scope="module")
def rewards(config: Any, tiny_model: Path, written: export.VerlExport) -> list[list[float]]:
    """[smooth, strict, exact, parsed] of each of the thousand answers, by verl."""
    assert config.reward.custom_reward_function.path == str(written.reward)
    tokenizer = hf_tokenizer(str(tiny_model))

    async def compute() -> list[list[float]]:
        manager = load_reward_manager(config, tokenizer)  # takes the running loop for its own
        assert type(manager) is NaiveRewardManager
        found = []
        for answered in verl_exports.ANSWERS:
            smooth = await manager.run_single(row(tokenizer, answered, "smooth"))
            strict = await manager.run_single(row(tokenizer, answered, "strict"))
            told = smooth["reward_extra_info"]
            found.append([smooth["reward_score"], strict["reward_score"], told["exact"], told["parsed"]])
        return found

    return asyncio.run(compute())


def test_a_thousand_rewards_equal_ours(rewards: list[list[float]]) -> None:
    specs = {task: truth["evaluator"]["name"] for task, truth in verl_exports.TRUTHS.items()}
    graders = {task: evaluators.get(name) for task, name in specs.items()}
    smooth = Rewarder(dict.fromkeys(graders, "smooth"), graders)
    strict = Rewarder(dict.fromkeys(graders, "strict"), graders)
    seen: dict[str, set[float]] = {task: set() for task in graders}
    assert len(rewards) == 1000
    for answered, theirs in zip(verl_exports.ANSWERS, rewards, strict=True):
        reason = "length" if answered.cut else "stop"
        ours = smooth(question(answered.task), answered.text, reason)
        exact = strict(question(answered.task), answered.text, reason)
        assert theirs == [ours.value, exact.value, ours.strict, float(ours.parsed)], answered
        seen[answered.task].add(round(ours.value, 3))
    assert all(len(values) >= 10 and {0.0, 1.0} <= values for values in seen.values())


def test_they_are_those_of_the_golden(rewards: list[list[float]]) -> None:
    assert rewards == verl_exports.golden("rewards.json", rewards)
