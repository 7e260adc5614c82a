"""The supervised warm start: steps on the true answers until every task passes its threshold, before GRPO.

Example:
    last = warm_start(config, Path("runs/train"), questions, Policy.open(Path(config.model)), processes=SINGLE)
    policy = Policy.open(last)   # base and reference of GRPO

GRPO cannot improve a task that the model always or never answers right, and a mean over tasks hides both. So each task
has a threshold to pass in two validations in a row; one that has passed is asked less often, which leaves GRPO room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import Trainer

from trainer.arguments import sft_arguments
from trainer.config import TrainConfig, WarmStart
from trainer.dataset import Questions, mixture
from trainer.model import forward
from trainer.model.policy import Policy
from trainer.rewards import Diagnostics, Rewarder
from trainer.stage import Stage, StageTrainer
from trainer.trl_imports import add_fused_lm_head
from viubench.errors import ViubenchError
from viubench.schema import Sample

FOLDER = "warm-start"  # below the folder of the training
PASSED_WEIGHT = 0.05  # of a task that has passed, against one that has not: it must not be forgotten
REQUIRED_PASSES = 2  # validations in a row in which a task must pass: one alone may be luck
ABOVE_CONSTANT = 0.05  # of a threshold, over the best constant answer: else passing it would mean nothing


@dataclass
class Curriculum:
    """The questions of each task so far, and the validations in a row in which it passed; in each checkpoint."""

    drawn: dict[str, int]
    streaks: dict[str, int] = field(default_factory=dict)

    def passed(self, task: str) -> bool:
        """Whether the task has passed its threshold often enough."""
        return self.streaks.get(task, 0) >= REQUIRED_PASSES

    @property
    def finished(self) -> bool:
        """Whether every task has passed."""
        return all(map(self.passed, self.drawn))

    def record(self, results: Mapping[str, Diagnostics], warm: WarmStart) -> None:
        """Count a validation."""
        for task, threshold in warm.thresholds.items():
            passes = results[task].reward >= threshold.score and results[task].strict >= threshold.exact
            self.streaks[task] = self.streaks.get(task, 0) + 1 if passes else 0

    def next_batch(self, questions: Questions, config: TrainConfig, warm: WarmStart) -> list[Sample]:
        """The next step's questions, seldom of tasks that have passed; counted in `drawn`."""
        weights = {
            task: warm.weights.get(task, mix.weight) * (PASSED_WEIGHT if self.passed(task) else 1)
            for task, mix in config.tasks.items()
        }
        total, batch = sum(self.drawn.values()), []
        # Continued at the questions so far, so that rare tasks are not left out of every batch.
        for task, _ in islice(mixture(weights), total, total + warm.train_batch_size):
            batch.append(questions.draw("warm-start", task, self.drawn[task]))
            self.drawn[task] += 1
        return batch


def warm_start(config: TrainConfig, out: Path, questions: Questions, policy: Policy, **options: Any) -> Path:
    """Run, resume or skip (when finished) the warm start of the training in `out`; returns its last checkpoint.
    `policy` is opened from the base model and changed in place; `options` are those of `Stage`. Raises ViubenchError
    where the horizon ends with a task below its threshold (the state is saved), for a threshold that a constant answer
    passes, or as `Stage.run`."""
    warm = config.warm_start
    assert warm is not None, "called only with a warm start"
    stage = WarmStage(config, out / FOLDER, questions, policy, warm, options)
    for task, threshold in warm.thresholds.items():
        if threshold.score < (least := stage.baselines[f"floor/{task}"] + ABOVE_CONSTANT):
            constant = f"and a constant answer scores {least - ABOVE_CONSTANT:.2f}"
            said = f"the threshold of {task} is {threshold.score:.2f}, {constant}"
            raise ViubenchError(said, where="warm_start.thresholds", hint=f"set it to {least:.2f} at least")
    last = stage.run(lambda: WarmStartTrainer(stage))
    if below := {task: due for task, due in warm.thresholds.items() if not stage.curriculum.passed(task)}:
        required = ", ".join(f"{task} {due.score:g} and {due.exact:g}" for task, due in below.items())
        said = f"the warm start's {warm.max_steps} steps ended with {len(below)} of {len(config.tasks)} tasks below "
        said += f"their thresholds (score and exact match: {required}); the last checkpoint is {last}"
        hint = "allow more steps, easier items or lower thresholds; GRPO cannot improve a task that is never right"
        raise ViubenchError(said, where="warm_start", hint=hint)
    return last


class WarmStage(Stage):
    """A stage that ends when every task has passed; `options` are those of `Stage`."""

    def __init__(
        self, config: TrainConfig, out: Path, questions: Questions, policy: Policy, warm: WarmStart, options: Any
    ) -> None:
        rewarder = Rewarder(dict.fromkeys(config.tasks, "smooth"), questions.evaluators)
        alone = config.model_copy(update={"harness_eval": None})
        super().__init__(alone, out, questions, policy, rewarder=rewarder, **options)
        self.warm, self.curriculum = warm, Curriculum(dict.fromkeys(config.tasks, 0))
        self.eval_steps = warm.eval_steps if warm.thresholds or questions.held_out.samples else 0

    def present(self) -> dict[str, Any]:
        return super().present() | {"curriculum": deepcopy(vars(self.curriculum))}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        vars(self.curriculum).update(state["curriculum"])

    def validated(self, results: Mapping[str, Diagnostics]) -> None:
        """Count the validation; a collapse is what GRPO is watched for."""
        self.curriculum.record(results, self.warm)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Do nothing more when a finished one is started again."""
        control.should_training_stop = self.curriculum.finished or state.global_step >= self.warm.max_steps

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        super().on_step_end(args, state, control, **more)
        if self.curriculum.finished:
            control.should_save = control.should_training_stop = True


class WarmStartTrainer(StageTrainer, Trainer):  # type: ignore[misc]
    """transformers' Trainer on the true answers to the questions of a curriculum."""

    def __init__(self, stage: WarmStage) -> None:
        self.config, self.policy, self.stage = stage.config, stage.policy, stage
        self._batch: list[Sample] = []
        self._micro_batch = 0
        model, adapters = stage.policy.base, stage.policy.peft_config
        add_fused_lm_head(model)
        if adapters is not None:
            from peft import get_peft_model

            model = get_peft_model(model, adapters)
        args = sft_arguments(stage.config, stage.out, stage.processes)
        # The questions of a step depend on how the tasks did, so the data are only the numbers of micro-batches.
        turns = list(range(stage.warm.max_steps * args.gradient_accumulation_steps * stage.processes.size))
        given = {"train_dataset": turns, "data_collator": list, "processing_class": stage.policy.processor}
        super().__init__(model=model, args=args, **given)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward pass of one micro-batch: -log p of the true answers, a mean over the step's tokens."""
        parts, stage = self.args.gradient_accumulation_steps, self.stage
        turn = self._micro_batch % parts
        if turn == 0:
            self._batch = stage.curriculum.next_batch(stage.questions, self.config, stage.warm)
        self._micro_batch += 1
        share = stage.processes.share(self._batch)
        size = len(share) // parts
        model.train()
        # Gradients of several processes are averaged, not summed.
        loss = self._loss(model, share[turn * size : (turn + 1) * size]) * stage.processes.size
        self.accelerator.backward(loss)
        return loss.detach()

    def _loss(self, model: Any, samples: Sequence[Sample]) -> Tensor:
        policy = self.policy
        packed = policy.stack([policy.pack(one, self.stage.questions.videos(one)) for one in samples])
        tokens, mask = policy.pad_answers([policy.encode_answer(one.answer_text) for one in samples])
        logprobs, _ = forward.score(self, model, policy.base, packed, tokens, mask, 1.0)
        total: Tensor = -logprobs.sum() / sum(len(policy.encode_answer(one.answer_text)) for one in self._batch)
        return total
