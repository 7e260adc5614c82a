"""The warm start on the tiny checkpoint: learns the true answers, ends by its thresholds, resumes where it stopped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_training import Stop, asked, config, opened, stop_after, untimed

from trainer import sft, stage
from trainer.checkpoints import checkpoint
from trainer.checkpoints.metrics_log import read
from trainer.config import TrainConfig, WarmStart
from trainer.rewards import Diagnostics
from viubench.errors import ViubenchError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine

TASKS = {"few": {"weight": 1}, "order": {"weight": 1}}
THRESHOLD = {"score": 0.9, "exact": 0.2}
WARM = {
    "max_steps": 8, "learning_rate": 0.01, "warmup_steps": 0, "train_batch_size": 4, "eval_steps": 2,
    "thresholds": {"few": THRESHOLD, "order": THRESHOLD},
}  # fmt: skip


def schooled(world: Path, tiny_model: Path, **changes: Any) -> TrainConfig:
    return config(world, tiny_model, tasks=TASKS, micro_batch_size=3, warm_start=WARM | changes)


def seen(score: float, exact: float = 1.0) -> Diagnostics:
    return Diagnostics(score, exact, 1.0, 0.0, 1.0, 0.0, 4.0, ())


def validations(*scores: tuple[float, float]) -> Callable[..., dict[str, Diagnostics]]:
    """A look at its turn finds these scores of the two tasks; the last ones stay."""
    left = list(scores)

    def validate(*_: Any) -> dict[str, Diagnostics]:
        few, order = left.pop(0) if len(left) > 1 else left[0]
        return {"few": seen(few), "order": seen(order)}

    return validate


def learn(chosen: TrainConfig, world: Path, out: Path, progress: Callable[[dict[str, Any]], None] = print) -> Path:
    return sft.warm_start(chosen, out, asked(chosen, world), opened(chosen), progress=progress)


def test_it_ends_when_every_task_passed_two_validations_in_a_row(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "validate", validations((1, 0.5), (0.5, 1), (1, 1), (1, 1)))
    chosen = schooled(world, tiny_model)
    last = learn(chosen, world, tmp_path)
    assert last == checkpoint.latest(tmp_path / sft.FOLDER)
    assert checkpoint.step_of(last) == 8
    lines = read(tmp_path / sft.FOLDER)
    assert [line["step"] for line in lines] == list(range(8))
    assert lines[-1]["loss"] < lines[0]["loss"] / 2, "few answers, soon known"
    assert "validation/few/reward" in lines[1]
    assert "validation/few/reward" not in lines[0]
    steps: list[Any] = []
    assert learn(chosen, world, tmp_path, steps.append) == last
    assert not steps, "a finished warm start is not run again"


def test_a_stopped_warm_start_ends_as_one_never_stopped(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = schooled(world, tiny_model, max_steps=6)
    scores = [(1, 0.5), (1, 1), (1, 1)]
    monkeypatch.setattr(stage, "validate", validations(*scores))
    whole = learn(chosen, world, tmp_path / "whole")
    monkeypatch.setattr(stage, "validate", validations(*scores))
    with pytest.raises(Stop):
        learn(chosen, world, tmp_path / "stopped", stop_after(2))
    monkeypatch.setattr(stage, "validate", validations(*scores[1:]))
    resumed = learn(chosen, world, tmp_path / "stopped")
    assert whole.name == resumed.name
    for name in ("model.safetensors", "optimizer.pt"):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes()
    logs = [read(tmp_path / name / sft.FOLDER) for name in ("whole", "stopped")]
    assert untimed(logs[0]) == untimed(logs[1])


def test_a_horizon_that_ends_too_soon_is_an_error_and_the_state_is_saved(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "validate", validations((1, 0.5)))
    with pytest.raises(ViubenchError, match="1 of 2 tasks below their thresholds") as raised:
        learn(schooled(world, tiny_model, max_steps=4), world, tmp_path)
    assert "order 0.9 and 0.2" in raised.value.message
    last = checkpoint.latest(tmp_path / sft.FOLDER)
    assert last is not None
    assert last.name in raised.value.message


def test_a_mark_that_a_constant_answer_passes_is_refused(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    low = {"few": THRESHOLD, "order": {"score": 0.3, "exact": 0.2}}
    with pytest.raises(ViubenchError, match=r"the threshold of order is 0\.30, and a constant answer scores 0\."):
        learn(schooled(world, tiny_model, thresholds=low), world, tmp_path)


def test_a_task_past_its_mark_is_asked_seldom(tiny_model: Path, world: Path) -> None:
    chosen = schooled(world, tiny_model)
    questions = asked(chosen, world)
    curriculum = sft.Curriculum({"few": 0, "order": 0})
    warm = WarmStart.model_validate(WARM | {"train_batch_size": 60})
    assert Counter(s.task for s in curriculum.next_batch(questions, chosen, warm)) == {"few": 30, "order": 30}
    for _ in range(2):
        curriculum.record({"few": seen(0.95), "order": seen(0.95, exact=0.1)}, warm)
    assert not curriculum.finished, "the share of right answers counts too"
    before = dict(curriculum.drawn)
    resting = Counter(s.task for s in curriculum.next_batch(questions, chosen, warm))
    assert 0 < resting["few"] == round(60 * sft.PASSED_WEIGHT / (1 + sft.PASSED_WEIGHT))
    assert curriculum.drawn == {task: before[task] + resting[task] for task in before}
    heavy = warm.model_copy(update={"weights": {"order": 4.0}})
    fresh = sft.Curriculum({"few": 0, "order": 0})
    assert Counter(s.task for s in fresh.next_batch(questions, chosen, heavy)) == {"few": 12, "order": 48}
    curriculum.record({"few": seen(0.5), "order": seen(1.0)}, warm)
    assert curriculum.streaks == {"few": 0, "order": 1}


@pytest.mark.parametrize("checkpointed", [False, True], ids=["shared prompts", "full sequences"])
def test_the_loss_is_the_cross_entropy_of_the_true_answers(
    checkpointed: bool, tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against torch's own cross entropy, question by question and without padding, over all tokens of the step."""
    chosen = schooled(world, tiny_model, max_steps=1, train_batch_size=6)
    chosen = chosen.model_copy(update={"gradient_checkpointing": checkpointed})
    questions, policy = asked(chosen, world), opened(chosen)
    assert chosen.warm_start is not None
    samples = sft.Curriculum({"few": 0, "order": 0}).next_batch(questions, chosen, chosen.warm_start)
    expected, tokens = torch.zeros(()), 0
    for sample in samples:
        inputs = policy.pack(sample, questions.videos(sample)).inputs
        answer = torch.tensor([policy.encode_answer(sample.answer_text)])
        whole = torch.cat([inputs["input_ids"], answer], 1)
        labels = torch.cat([torch.full_like(inputs["input_ids"], -100), answer], 1)
        types = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(answer)], 1)
        media = {name: inputs[name] for name in ("pixel_values_videos", "video_grid_thw")}
        logits = policy.base(input_ids=whole, mm_token_type_ids=types, **media).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:])
        expected = expected + loss * answer.shape[1]
        tokens += answer.shape[1]
    (expected / tokens).backward()
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in policy.base.parameters() if p.grad is not None))
    monkeypatch.setattr(stage, "validate", validations((0, 0)))
    with pytest.raises(ViubenchError, match="below their thresholds"):
        learn(chosen, world, tmp_path)
    (line,) = read(tmp_path / sft.FOLDER)
    assert line["loss"] == pytest.approx(float(expected) / tokens, rel=1e-4)
    assert line["grad_norm"] == pytest.approx(norm, rel=1e-4)
