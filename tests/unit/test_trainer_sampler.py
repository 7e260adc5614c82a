"""The rollouts of a step: seeds of their own, rewards, and other questions in place of those that teach nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import logged_answers
import pytest

from trainer import checks
from trainer.config import TrainConfig
from trainer.model.packing import Packed
from trainer.model.policy import Rollouts
from trainer.processes import SINGLE, Processes
from trainer.rewards import Reward
from trainer.rollouts.sampler import Answered, RolloutSource, Sampler, log_answers
from viubench.schema import Sample

torch = pytest.importorskip("torch")

LEAST: dict[str, Any] = {
    "run_name": "t", "tasks": {"a": {}}, "max_steps": 3, "train_batch_size": 4, "num_generations": 2,
    "max_completion_length": 8,
}  # fmt: skip


def config(**more: Any) -> TrainConfig:
    return TrainConfig.model_validate(LEAST | more)


def question(name: str) -> Sample:
    return Sample(id=name, task="a", cluster="c", clips=(), question="q?", target="yes", answer_text="yes")


class Asked:
    """Questions `b0.0`, `b0.1`, ... of batches, and `r0`, `r1`, ... of resampling."""

    curriculum = None

    def __init__(self) -> None:
        self.drawn: list[int] = []
        self.decoded: list[str] = []

    def batch(self, number: int) -> list[Sample]:
        return [question(f"b{number}.{place}") for place in range(4)]

    def draw(self, stream: str, task: str, number: int) -> Sample:
        assert (stream, task) == ("resample", "a")
        self.drawn.append(number)
        return question(f"r{number}")

    def videos(self, sample: Sample) -> tuple[()]:
        self.decoded.append(sample.id)
        return ()


class Packs:
    def pack(self, sample: Sample, videos: Sequence[Any]) -> Packed:
        return Packed((sample,), (tuple(videos),), {})


class Fake(RolloutSource):
    """Two answers to each question, which differ for those that `vary`."""

    def __init__(self, vary: Any) -> None:
        self.vary = vary
        self.calls: list[tuple[list[str], list[int]]] = []

    def __call__(
        self, rows: Sequence[Packed], n: int, seeds: Sequence[int], temperature: float, max_tokens: int
    ) -> list[Rollouts]:
        names = [row.samples[0].id for row in rows]
        self.calls.append((names, list(seeds)))
        mask = torch.ones(n, 3, dtype=torch.bool)
        return [
            Rollouts(mask.long(), mask, -mask.float(), ["yes", "no" if self.vary(name) else "yes"], [True, False])
            for name in names
        ]


def rewarder(sample: Sample, text: str, finish_reason: str, turn: Any = None) -> Reward:
    assert turn is not None
    right = float(text == "yes")
    return Reward(right, right, True, [text, finish_reason, *turn])


@pytest.fixture(autouse=True)
def no_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "check_prompt", lambda policy, packed: None)


def sampler(vary: Any, processes: Processes = SINGLE, **more: Any) -> Sampler:
    asked: Any = Asked()
    policy: Any = Packs()
    given: Any = rewarder
    return Sampler(config(**more), policy, Fake(vary), asked, given, processes)


def names(answered: Sequence[Answered]) -> list[str]:
    return [one.sample.id for one in answered]


def test_every_answer_has_its_reward_turn_and_reason_to_end() -> None:
    answered = sampler(lambda name: True).batch(2)
    assert names(answered) == ["b2.0", "b2.1", "b2.2", "b2.3"]
    assert [reward.answer for reward in answered[3].rewards] == [["yes", "stop", 2, 3, 0], ["no", "length", 2, 3, 1]]
    assert answered[0].group().lengths == [3, 3]


def test_a_question_keeps_its_seed_whichever_process_asks_it() -> None:
    alone, parts = sampler(lambda name: True), [sampler(lambda name: True, Processes(rank, 2)) for rank in range(2)]
    whole = [one.batch(1) for one in (alone, *parts)]
    assert names(whole[0]) == names([*whole[1], *whole[2]])
    seeds = [one.source.calls[0][1] for one in (alone, *parts)]  # type: ignore[attr-defined]
    assert seeds[0] == [*seeds[1], *seeds[2]]
    assert len(set(seeds[0])) == 4
    alone.batch(2)
    assert not set(seeds[0]) & set(alone.source.calls[1][1])  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["none", "skip"])
def test_groups_without_variance_are_not_asked_again_unless_they_shall(kind: str) -> None:
    one = sampler(lambda name: name == "b0.1", dynamic_sampling=kind)
    assert names(one.batch(0)) == ["b0.0", "b0.1", "b0.2", "b0.3"]
    assert len(one.source.calls) == 1  # type: ignore[attr-defined]


def test_other_questions_take_the_place_of_those_that_teach_nothing() -> None:
    one = sampler(lambda name: name in ("b0.1", "b0.2") or name.startswith("r"), dynamic_sampling="resample")
    answered = one.batch(0)
    fake: Any = one.source
    assert [call[0] for call in fake.calls] == [["b0.0", "b0.1", "b0.2", "b0.3"], names(answered)[::3]]
    assert all(name.startswith("r") for name in names(answered)[::3])
    assert names(answered)[1:3] == ["b0.1", "b0.2"]
    assert len({seed for _, seeds in fake.calls for seed in seeds}) == 6, "seeds of their own"


def test_resampling_ends_and_asks_another_question_each_time() -> None:
    one = sampler(lambda name: False, dynamic_sampling="resample", max_resamples=2)
    for number in range(3):
        one.batch(number)
    fake: Any = one.source
    assert len(fake.calls) == 3 * (1 + 2)
    drawn = one.questions.drawn  # type: ignore[attr-defined]
    assert len(set(drawn)) == len(drawn) == 3 * 2 * 4


def test_the_next_batch_is_decoded_meanwhile_and_only_once() -> None:
    one = sampler(lambda name: True)
    for number in range(3):
        one.batch(number)
    one._decoder.shutdown()
    decoded = one.questions.decoded  # type: ignore[attr-defined]
    assert sorted(decoded) == [f"b{number}.{place}" for number in range(3) for place in range(4)]


# --- the log of answers -----------------------------------------------------------------------------------------------


def test_answers_are_logged_as_they_were_rewarded(tmp_path: Any) -> None:
    one = sampler(lambda name: name == "b1.0", log_completions=3)
    for number in (1, 0):
        log_answers(tmp_path, 10 * number, one.batch(number), one.config)
    table = logged_answers.read(tmp_path)
    assert list(table.step) == [0] * 3 + [10] * 3
    assert list(table["sample"])[3:] == ["b1.0", "b1.0", "b1.1"], "all answers to a question, and no more than asked"
    row = table.iloc[4].to_dict()
    assert row == {
        "step": 10, "task": "a", "sample": "b1.0", "question": "q?", "target": "yes", "answer": "no", "parsed": True,
        "read_as": '["no","length",1,0,1]', "reward": 0.0, "exact": False, "tokens": 3, "stopped": False,
    }  # fmt: skip


def test_a_step_that_is_run_again_replaces_its_answers(tmp_path: Any) -> None:
    one = sampler(lambda name: True)
    for _ in range(2):
        log_answers(tmp_path, 0, one.batch(0), one.config)
    assert len(logged_answers.read(tmp_path)) == 8
    assert logged_answers.read(tmp_path / "nowhere").empty
