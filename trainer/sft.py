"""The supervised warm start: steps on the true answers until every task is past its mark, for GRPO to go on from.

Example:
    last = warm_start(config, Path("runs/train"), questions, Policy.open(Path(config.model)), progress=print)
    policy = Policy.open(last)   # base and reference of GRPO

GRPO cannot lift a task that the model always or never answers right, and a mean over tasks hides both. So it is never a
fixed number of steps: each task has a mark of its own, a score and a share of fully right answers, to pass in two looks
running. A task that is past its mark is asked less often while the others learn, which leaves GRPO something to do.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import evaluators
from trainer import checks, grpo
from trainer.checkpoints import checkpoint, model_card
from trainer.checkpoints.manager import Keeper
from trainer.checkpoints.metrics_log import Log, Unwritten, to_stderr
from trainer.config import Evaluate, TrainConfig, WarmStart
from trainer.dataset import Questions, mixture
from trainer.model import fsdp
from trainer.model.policy import Policy
from trainer.rewards import Diagnostics, Rewarder
from trainer.validation import look
from viubench.errors import ViubenchError
from viubench.schema import Sample

if TYPE_CHECKING:
    import torch

FOLDER = "warm-start"
"""Where a run's warm start lies, below the run's folder."""

REST = 0.05
"""How often a task past its mark is asked, against one that is not: seldom, but it must not be forgotten."""

LOOKS = 2
"""Looks in a row in which a task must be past its mark: one alone may be luck."""

FINAL_LR = 0.1
ABOVE_FLOOR = 0.05
"""A mark must be so much above the best constant answer, or passing it would mean nothing."""

STREAM = "warm-start"


@dataclass
class Course:
    """What was asked so far and which tasks are past their marks; saved with each checkpoint.

    Attributes:
        drawn: questions of each task so far.
        streaks: looks in a row in which each task was past its mark.
    """

    drawn: dict[str, int]
    streaks: dict[str, int] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether every task is past its mark."""
        return all(self.streaks.get(task, 0) >= LOOKS for task in self.drawn)

    def seen(self, found: Mapping[str, Diagnostics], marks: WarmStart) -> None:
        """Take note of a look."""
        for task, mark in marks.marks.items():
            past = found[task].reward >= mark.score and found[task].strict >= mark.exact
            self.streaks[task] = self.streaks.get(task, 0) + 1 if past else 0

    def draw(self, questions: Questions, config: TrainConfig, warm: WarmStart) -> list[Sample]:
        """The next step's questions, of tasks past their mark seldom; they count as asked."""
        weights = {task: warm.weights.get(task, mix.weight) for task, mix in config.tasks.items()}
        weights = {
            task: weight * (REST if self.streaks.get(task, 0) >= LOOKS else 1) for task, weight in weights.items()
        }
        total, asked = sum(self.drawn.values()), []
        # Begun where the questions so far would have it, so that rare tasks are not left out of every batch.
        for task, _ in islice(mixture(weights), total, total + warm.batch):
            asked.append(questions.draw(STREAM, task, self.drawn[task]))
            self.drawn[task] += 1
        return asked


def warm_start(
    config: TrainConfig,
    out: Path,
    questions: Questions,
    policy: Policy,
    progress: Callable[[dict[str, Any]], None],
    *,
    say: Callable[[str], None] = to_stderr,
    argv: Sequence[str] = (),
) -> Path:
    """Run or go on with the warm start of the training in `out`; returns its last checkpoint.

    One that is finished is not run again. `config.warm_start` must be there.

    Args:
        policy: opened from the base model; changed in place.
        progress: told each finished step's log line.

    Raises:
        ViubenchError: the horizon ends with a task below its mark (the state is saved), a mark that a constant answer
            passes, or as `grpo.train`.
    """
    lessons = Lessons(config, out / FOLDER, questions, policy, say, argv)
    keeper = lessons.keeper
    with keeper.claimed(), keeper.rescuing(lessons.state), contextlib.closing(lessons.log):
        lessons.restore(keeper.resume())
        while not lessons.course.over:
            if keeper.steps == lessons.warm.steps:
                raise _ended_below(lessons.course, lessons.warm)
            lessons.step(keeper.steps)
            if keeper.due(keeper.steps - 1) or lessons.course.over:
                keeper.save(lessons.state())
                keeper.prune()
            progress(keeper.told)
    last = checkpoint.latest(out / FOLDER)
    assert last is not None, "it was saved when it was over"
    return last


class Lessons:
    """A warm start's parts, and what is done with them at each step."""

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        questions: Questions,
        policy: Policy,
        say: Callable[[str], None],
        argv: Sequence[str],
    ) -> None:
        if config.warm_start is None:
            raise ViubenchError("the configuration has no warm start", where=config.train)
        self.config, self.warm, self.questions, self.policy = config, config.warm_start, questions, policy
        graders = {name: evaluators.get(spec.name, **spec.params) for name, spec in questions.evaluators.items()}
        floors = checks.floors(questions, graders, config)
        refuse_low_marks(self.warm, floors)
        self.floors = {f"floor/{task}": floor for task, floor in floors.items()}
        self.rewarder = Rewarder(dict.fromkeys(config.tasks, "smooth"), graders)
        self.optimizer = grpo.adamw(policy, config)
        self.log = Log(folder, say) if policy.ranks.first else Unwritten(folder, say)
        self.course = Course(dict.fromkeys(config.tasks, 0))
        # A checkpoint is due as often as in GRPO, over the warm start's own steps.
        steps = config.model_copy(update={"steps": self.warm.steps, "evaluate": Evaluate()})
        manifest = model_card.describe(config, questions, policy, argv)
        self.keeper = Keeper(steps, folder, policy, self.optimizer, self.log, manifest)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the weights."""
        return {"drawn": self.course.drawn, "streaks": self.course.streaks}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; nothing at the start of a run."""
        if kept:
            self.course = Course(kept["drawn"], kept["streaks"])

    def step(self, step: int) -> None:
        """One step on the true answers, and a look at the validation items when it is time."""
        began, rate = time.perf_counter(), learning_rate(self.warm, step)
        asked = self.course.draw(self.questions, self.config, self.warm)
        told: dict[str, Any] = {"step": step, "lr": rate}
        told |= study(self.policy, self.optimizer, asked, self.questions, self.config, rate)
        self.keeper.finished(step, told)
        if (step + 1) % self.warm.look_every == 0:
            samples = self.questions.validation(self.config.evaluate.n)
            found = look(self.policy, self.rewarder, self.questions, samples, self.config)
            self.course.seen(found, self.warm)
            told |= grpo.named("validation/", found) | self.floors
        told["seconds"] = time.perf_counter() - began
        self.log.write(told)


def learning_rate(warm: WarmStart, step: int) -> float:
    """Linear warm-up over `warm_up` steps, then linear decay to a tenth of the peak at the horizon."""
    if step < warm.warm_up:
        return warm.lr * (step + 1) / warm.warm_up
    return warm.lr * (1 - (1 - FINAL_LR) * (step - warm.warm_up) / max(warm.steps - 1 - warm.warm_up, 1))


def study(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    samples: Sequence[Sample],
    questions: Questions,
    config: TrainConfig,
    rate: float,
) -> dict[str, float]:
    """One optimiser step on the true answers: the mean over their tokens of -log p at temperature 1.

    Of several processes each takes its part of `samples`; weights and numbers are those of all of them.

    Returns:
        `loss` (nats a token), `tokens` and `grad_norm`.
    """
    import torch

    for group in optimizer.param_groups:
        group["lr"] = rate
    ranks = policy.ranks
    tokens = sum(len(policy.spell(sample.answer_text)) for sample in samples)
    own = ranks.own(samples)
    parts = [own[start : start + config.micro_batch] for start in range(0, len(own), config.micro_batch)]
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for part, counts in ranks.level(parts):
        with ranks.agree():
            packed = policy.stack([grpo.pack(policy, questions, sample) for sample in part])
        answers, mask = policy.answers([sample.answer_text for sample in part])
        # One answer a question: there is no prompt to share, and one forward is less than two.
        logprobs, _ = policy.logprobs(packed, answers, mask, 1.0, shared=False)
        loss = -counts * logprobs.sum() / tokens
        loss.backward()
        total += float(loss.detach())
    total = sum(ranks.gather(total))
    parameters = [parameter for _, parameter in policy.trainable()]
    ranks.sum_gradients(parameters)
    norm = float(fsdp.whole(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)))
    with ranks.agree():
        checks.check_finite({"loss": total, "grad_norm": norm})
    optimizer.step()
    return {"loss": total, "tokens": tokens, "grad_norm": norm}


def refuse_low_marks(warm: WarmStart, floors: Mapping[str, float]) -> None:
    """Raises ViubenchError for a mark that an answer which never looks passes, or nearly does."""
    for task, mark in warm.marks.items():
        if mark.score < floors[task] + ABOVE_FLOOR:
            raise ViubenchError(
                f"the mark of {task} is {mark.score:.2f}, and one constant answer scores {floors[task]:.2f}",
                where="warm_start.marks",
                hint=f"ask for at least {floors[task] + ABOVE_FLOOR:.2f}",
            )


def _ended_below(course: Course, warm: WarmStart) -> ViubenchError:
    below = [task for task in course.drawn if course.streaks.get(task, 0) < LOOKS]
    wanted = ", ".join(f"{task} {warm.marks[task].score:g} and {warm.marks[task].exact:g}" for task in below)
    return ViubenchError(
        f"the warm start's {warm.steps} steps ended with {len(below)} of {len(course.drawn)} tasks below their marks "
        f"(score and exact match: {wanted})",
        where="warm_start",
        hint="give it more steps, easier items or lower marks; GRPO does not lift a task that is not begun",
    )
