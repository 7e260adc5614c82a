"""The loop's guards: each stops the run it is there for, with the state saved, and no other."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_training import Stop, Vowels, asked, config, go, opened, stop_after, weights

from evaluators.temporal_iou import TemporalIoU
from trainer import grpo, rewards
from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read
from trainer.grpo import VideoGRPOTrainer
from trainer.model.policy import Policy, Rollouts
from trainer.rewards import Reward
from trainer.rollouts.sampler import PolicyRollouts
from viubench.errors import ViubenchError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def test_a_model_that_does_not_see_its_video_is_not_trained(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels lost on the way: every video reaches the model as the same grey."""
    pack = Policy.pack

    def blind(self: Policy, *args: Any) -> Any:
        packed = pack(self, *args)
        packed.inputs["pixel_values_videos"].zero_()
        return packed

    monkeypatch.setattr(Policy, "pack", blind)
    with pytest.raises(ViubenchError, match="does not see its video"):
        go(config(world, tiny_model), world, tmp_path / "run")
    assert not read(tmp_path / "run")


class Stale(PolicyRollouts):
    """A source that goes on sampling from the weights that it was asked with first."""

    def __call__(self, *args: Any) -> list[Rollouts]:
        trained = {name: p for name, p in self.policy.base.named_parameters() if p.requires_grad}
        present = {name: p.data for name, p in trained.items()}
        self.kept = getattr(self, "kept", None) or {name: data.clone() for name, data in present.items()}
        for name, p in trained.items():
            p.data = self.kept[name]
        try:
            return super().__call__(*args)
        finally:
            for name, p in trained.items():
                p.data = present[name]


def test_rollouts_of_old_weights_stop_the_run_with_its_state_saved(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen, policy = config(world, tiny_model, save_steps=4), opened(config(world, tiny_model))
    with pytest.raises(ViubenchError, match=r"nats off the trainer's.*after 1 steps.*-000001\)") as told:
        grpo.train(chosen, tmp_path / "run", asked(chosen, world), policy, source=Stale(policy, 1))
    assert str(told.value.where).startswith("item ")
    assert [line["step"] for line in read(tmp_path / "run")] == [0]
    lenient = config(world, tiny_model, save_steps=4, checks={"max_logprob_gap": 50}, max_steps=4)
    policy = opened(lenient)
    grpo.train(lenient, tmp_path / "run", asked(lenient, world), policy, source=Stale(policy, 1))
    lines = read(tmp_path / "run")
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert lines[1]["gap"] < 1e-4, "the new source took over the weights of the first resumed step"
    assert lines[2]["gap"] > 0.01


@pytest.mark.parametrize(("bad", "moment"), [(math.nan, "training"), (1.5, "validation")])
def test_a_reward_that_is_no_share_stops_at_its_step_with_the_state_saved(
    bad: float, moment: str, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluator goes wrong in the second step's answers, or in the look after it."""
    chosen = config(world, tiny_model)
    questions = asked(chosen, world)
    bitten = questions.batch(1)[0].id if moment == "training" else questions.validation(1)[0].id
    assert bitten not in {sample.id for sample in questions.batch(0)}
    reward, armed = TemporalIoU.reward, []

    def wrong(self: Any, answer: Any, item: Any) -> float:
        return bad if armed and item.id == bitten else reward(self, answer, item)

    monkeypatch.setattr(TemporalIoU, "reward", wrong)
    steps = 1 if moment == "training" else 2
    with pytest.raises(ViubenchError, match=rf"sample '{bitten}' is {bad}.*\(after {steps} steps; they are saved in"):
        go(chosen, world, tmp_path / "run", armed.append)
    last = checkpoint.latest(tmp_path / "run")
    assert last is not None
    assert checkpoint.step_of(last) == steps
    assert [line["step"] for line in read(tmp_path / "run")] == [0]
    monkeypatch.setattr(TemporalIoU, "reward", reward)
    go(chosen, world, tmp_path / "run")
    assert [line["step"] for line in read(tmp_path / "run")][-2:] == [2, 3]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_leaves_the_weights_as_they_were(
    bad: float, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen = config(world, tiny_model, save_steps=1)
    loss, steps = VideoGRPOTrainer._compute_loss, []

    def wrong(self: Any, *given: Any) -> Any:
        value = loss(self, *given)
        return value * bad if len(steps) == 2 else value

    monkeypatch.setattr(VideoGRPOTrainer, "_compute_loss", wrong)
    policy = opened(chosen)
    with pytest.raises(ViubenchError, match=r"(loss|grad_norm) is (nan|inf) \(after 2 steps; .*-000002"):
        grpo.train(chosen, tmp_path / "run", asked(chosen, world), policy, progress=steps.append)
    monkeypatch.setattr(VideoGRPOTrainer, "_compute_loss", loss)
    again = opened(chosen)
    with pytest.raises(Stop):
        grpo.train(chosen, tmp_path / "other", asked(chosen, world), again, progress=stop_after(1))
    assert all(torch.equal(one, weights(again)[name]) for name, one in weights(policy).items())


class Constant:
    """A reward beside answers that are all the same."""

    def __init__(self, *_: Any) -> None: ...

    def __call__(self, sample: Any, text: str, finish_reason: str, turn: Any = None) -> Reward:
        return Reward(len(set(text)) / max(len(text), 1), 0.0, True, "1.0-4.0")


def test_a_collapse_is_told_once_or_stops_the_run(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Constant)
    monkeypatch.setattr(rewards, "MIN_QUESTIONS", 4)
    said: list[str] = []
    go(config(world, tiny_model), world, tmp_path / "run", warn=said.append)
    assert len(said) == 1
    assert said[0].startswith(
        'warning: the answers to few have collapsed: training: "1.0-4.0" answers 100% of the last 4 questions'
    )
    assert [("alarm/few" in line) for line in read(tmp_path / "run")] == [False, True, True, True]
    stopping = config(world, tiny_model, checks={"on_collapse": "stop"})
    with pytest.raises(
        ViubenchError, match=r"the answers to few have collapsed: .* \(after 2 steps; they are saved in"
    ):
        go(stopping, world, tmp_path / "other")
    assert [("alarm/few" in line) for line in read(tmp_path / "other")] == [False, True]
    with pytest.raises(ViubenchError, match=r"the answers to few have collapsed.*after 3 steps"):
        go(stopping, world, tmp_path / "other")  # what it saw before the stop is not forgotten


# --- a run that cannot learn ------------------------------------------------------------------------------------------


def test_a_run_whose_answers_are_never_read_ends(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    """The evaluator's own rewards of a random model."""
    with pytest.raises(ViubenchError, match="no answer of the last 3 steps could be read") as refused:
        go(config(world, tiny_model, checks={"patience": 3}, save_steps=4, eval_steps=0), world, tmp_path / "run")
    assert refused.value.exit_code != 0
    assert "after 2 steps; they are saved in" in refused.value.message


class Same:
    """Every answer is read, and every one has the same reward."""

    def __init__(self, *_: Any) -> None: ...

    def __call__(self, sample: Any, text: str, finish_reason: str, turn: Any = None) -> Reward:
        return Reward(0.5, 0.0, True, text)


def test_a_run_whose_groups_never_vary_ends(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Same)
    chosen = config(world, tiny_model, checks={"patience": 2}, save_steps=4, eval_steps=0)
    with pytest.raises(ViubenchError, match="in the last 2 steps all answers to a question had the same reward"):
        go(chosen, world, tmp_path / "run")


# --- memory and disk --------------------------------------------------------------------------------------------------


def test_out_of_memory_is_told_with_the_state_saved_and_a_resume_with_less(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    step = VideoGRPOTrainer._compute_loss

    def full(self: Any, *given: Any) -> Any:
        if self.state.global_step == 1 and self.config.micro_batch_size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return step(self, *given)

    monkeypatch.setattr(VideoGRPOTrainer, "_compute_loss", full)
    large = config(world, tiny_model, micro_batch_size=2, save_steps=4, eval_steps=0)
    with pytest.raises(ViubenchError, match=r"out of memory: CUDA .* \(after 1 steps; they are saved in") as told:
        go(large, world, tmp_path / "run")
    assert "lower micro_batch_size" in str(told.value.hint)
    go(large.model_copy(update={"micro_batch_size": 1}), world, tmp_path / "run")
    assert [line["step"] for line in read(tmp_path / "run")] == [0, 1, 2, 3]


def test_a_full_disk_is_told_and_costs_no_checkpoint(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of the second checkpoint do not fit on it; safetensors has an error of its own for that."""
    import resource
    import signal

    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python 3.11 would leave it cut off
    chosen, limits = config(world, tiny_model, eval_steps=0), resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(line: dict[str, Any]) -> None:
        if line["step"] == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))

    try:
        with pytest.raises(ViubenchError, match=r"the disk cannot be written: .*File too large") as told:
            go(chosen, world, tmp_path / "run", fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert "the last checkpoint is" in told.value.message
    assert "free some space" in str(told.value.hint)
    assert [path.name for path in checkpoint.complete(tmp_path / "run")] == ["checkpoint-000002"]
    go(chosen, world, tmp_path / "run")
    assert [line["step"] for line in read(tmp_path / "run")] == [0, 1, 2, 3]
