"""What stops a training that has silently gone wrong: each guard costs little and names what it found.

Example:
    check_seen(policy, questions, config)      # another video changes the answers' log-probabilities
    check_prompts(policy, packed)              # the prompt tells the frames' times, at their sizes
    check_gap(gaps, packed, config, step)      # the rollouts come from the policy that is trained

The two that judge by degrees are here too: the score of the best constant answer, and the alarm for a policy whose
answers collapse into one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evaluators import Evaluator
from trainer import rewards
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model.packing import GRIDS, Packed
from trainer.model.policy import Policy, Rollouts
from trainer.rewards import Diagnostics
from viubench.engines import prompts
from viubench.engines.checkpoints import describe_checkpoint
from viubench.engines.token_counts import TIMESTAMPED_TYPES
from viubench.errors import ViubenchError
from viubench.schema import Sample
from viubench.video import timestamps
from viubench.video.frames import VideoInput

if TYPE_CHECKING:
    from torch import Tensor

SEEN_GAP = 1e-4
"""Another video must move some log-probability by more than this; else the model does not see its video."""


# --- what the model is shown ----------------------------------------------------------------------------------


def check_seen(policy: Policy, questions: Questions, config: TrainConfig) -> None:
    """Refuse to train a model whose answers do not depend on the video: pixels dropped on the way are the worst bug.

    The first questions of the run are asked again with every frame turned to its negative and all else, the times
    too, kept.

    Raises:
        ViubenchError: no answer's log-probability moves.
    """
    samples = questions.batch(0)[: config.micro_batch]
    shown = [questions.videos(sample) for sample in samples]
    packed = policy.stack([policy.pack(*pair) for pair in zip(samples, shown, strict=True)])
    other = policy.stack([policy.pack(s, _negative(videos)) for s, videos in zip(samples, shown, strict=True)])
    rollouts = policy.rollout(packed, 2, [config.seed] * len(samples), config.temperature, config.max_tokens)
    gap = policy.swapped_gap(packed, other, rollouts.tokens, rollouts.mask)
    if not gap >= SEEN_GAP:  # NaN too
        raise ViubenchError(
            f"another video changes no log-probability by more than {gap:.1e}: the model does not see its video",
            where=str(policy.path),
            hint="check the checkpoint's processor: the frames must reach the vision tower",
        )


def _negative(videos: Sequence[VideoInput]) -> tuple[VideoInput, ...]:
    return tuple(replace(video, pixels=255 - video.pixels, key="") for video in videos)


def check_prompts(policy: Policy, packed: Packed) -> None:
    """Every prompt tells its frames' true times, in the way the model is told any, and every frame kept its size.

    A processor that is not told guesses: 24 frames a second, patches of another size, frames resized once more.

    Raises:
        ViubenchError: the times or the sizes in the prompt are others; `where` names the item.
    """
    settings = policy.processor.video_processor
    group, patch = int(settings.temporal_patch_size), int(settings.patch_size)
    stamped = describe_checkpoint(str(policy.path))["model_type"] in TIMESTAMPED_TYPES
    inputs = packed.inputs
    spacing = [float(seconds) for seconds in inputs.get("second_per_grid_ts", ())]
    grids = {still: inputs[name].tolist() for still, name in ((False, GRIDS[0]), (True, GRIDS[1])) if name in inputs}
    for row, (sample, videos) in enumerate(zip(packed.samples, packed.videos, strict=True)):
        moving = prompts.moving(videos)
        problem = None
        if stamped and moving:
            text = policy.processor.tokenizer.decode(inputs["input_ids"][row])
            problem = timestamps.missing_timestamps(text, [timestamps.metadata(video) for video in moving], group)
        elif spacing:
            pairs = [(video, spacing.pop(0)) for video in moving]
            problem = next(filter(None, (_other_clock(video, seconds / group) for video, seconds in pairs)), None)
        sizes = [_other_size(video, grids[video.still].pop(0), group, patch) for video in videos]
        if (problem := problem or next(filter(None, sizes), None)) is not None:
            raise ViubenchError(
                f"the model would not be shown its frames as they are: {problem}",
                where=f"item {sample.id}",
                hint="frame sides must be multiples of the model's patches; check the checkpoint's processor",
            )


def _other_clock(video: VideoInput, seconds: float) -> str | None:
    """What is wrong when a model that only knows a mean spacing of the frames is told `seconds`."""
    true = (video.times[-1] - video.times[0]) / max(len(video) - 1, 1)
    # Frames at the middles and frames at the ends of n equal parts differ by 1 / n; a guessed rate by far more.
    if true and not 0.5 < seconds / true < 2:
        return f"its frames are {true:.3g} s apart and the model is told {seconds:.3g} s"
    return None


def _other_size(video: VideoInput, seen: list[int], group: int, patch: int) -> str | None:
    """What is wrong when `video` became `seen` patches in time, height and width."""
    frames, height, width = video.pixels.shape[:3]
    if seen != (due := [-(-frames // group), height / patch, width / patch]):
        return f"{frames} frames of {width} x {height} became {seen} patches, not {due}"
    return None


# --- what comes back ------------------------------------------------------------------------------------------


def check_rollouts(rollouts: Rollouts, answers: int, max_tokens: int) -> None:
    """A rollout source gave `answers` answers with their exact tokens and a log-probability for each.

    Raises:
        ViubenchError: another number of answers, an empty one, one above the token limit, or no log-probability.
    """
    tokens, mask, logprobs = rollouts.tokens, rollouts.mask, rollouts.logprobs
    lengths = mask.sum(1)
    problem = None
    if not len(tokens) == len(rollouts.texts) == len(rollouts.stopped) == answers:
        problem = f"{len(tokens)} answers came back where {answers} were asked for"
    elif not tokens.shape == mask.shape == logprobs.shape:
        problem = f"tokens {list(tokens.shape)}, mask {list(mask.shape)}, log-probabilities {list(logprobs.shape)}"
    elif not bool((lengths > 0).all()) or int(lengths.max()) > max_tokens:
        problem = f"an answer has {int(lengths.min())} or {int(lengths.max())} tokens; 1 to {max_tokens} were asked for"
    elif not bool((logprobs[mask] <= 0).all()):  # NaN fails it too
        problem = "a log-probability is above 0 or no number"
    if problem is not None:
        raise ViubenchError(f"the rollouts cannot be trained on: {problem}", where="rollouts")


def gaps(logprobs: Tensor, rollouts: Rollouts, questions: int) -> tuple[Tensor, float]:
    """How far the trainer's log-probabilities are from the rollout's, in nats.

    Args:
        logprobs: float [B * n, L], of the rollout's tokens under the trainer.
        questions: B.

    Returns:
        float [B], the mean absolute difference over the answer tokens of each question, and the largest of all.
    """
    apart = (logprobs.detach() - rollouts.logprobs).abs() * rollouts.mask
    tokens = rollouts.mask.view(questions, -1).sum(1)
    return apart.view(questions, -1).sum(1) / tokens, float(apart.max())


def check_gap(gap: Tensor, packed: Packed, limit: float) -> None:
    """The answers were drawn from the policy that is trained: same weights, same prompt, same pixels.

    Args:
        gap: float [B], mean gap of each question, see `gaps`.
        limit: nats.

    Raises:
        ViubenchError: a question above the limit; `where` names it.
    """
    worst = int(gap.nan_to_num(math.inf).argmax())
    if not float(gap[worst]) <= limit:  # NaN too
        raise ViubenchError(
            f"the rollout's log-probabilities are {float(gap[worst]):.3g} nats off the trainer's on average, "
            f"above {limit:g}: another prompt, other pixels or old weights",
            where=f"item {packed.samples[worst].id}",
            hint="look at the rollout source; guards.max_gap is the limit",
        )


def check_finite(metrics: Mapping[str, float]) -> None:
    """Raises ViubenchError, before the weights are touched, when a loss or a norm is no finite number."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise ViubenchError(
                f"{name} is {value}", where="training", hint="lower lr or max_grad_norm, or use float32"
            )


# --- what the policy has become -------------------------------------------------------------------------------


def floors(questions: Questions, graders: Mapping[str, Evaluator], config: TrainConfig) -> dict[str, float]:
    """Task -> what the best constant answer earns on the validation items, chosen on the training items."""
    found = {}
    for task, grader in graders.items():
        kind = config.tasks[task].reward
        text = rewards.constant_floor(_of(task, questions.train.samples), grader, kind).text
        found[task] = rewards.constant_reward(text, _of(task, questions.held_out.samples), grader, kind)
    return found


def honest_tops(questions: Questions, graders: Mapping[str, Evaluator]) -> dict[str, float]:
    """Task -> the share of questions that one answer may be given to before it alarms, from the training items."""
    return {task: rewards.honest_top(_of(task, questions.train.samples), one) for task, one in graders.items()}


def _of(task: str, samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.task == task]


class Watch:
    """The collapse alarm of every task, over training steps and over looks at the validation items.

    Args:
        tops: task -> `top_share` of `rewards.alarm`.
        stop: whether an alarm ends the run.
        say: told of each task's first alarm.
    """

    def __init__(self, tops: Mapping[str, float], *, stop: bool, say: Callable[[str], None]) -> None:
        self.tops, self.stop, self._say = dict(tops), stop, say
        self._seen: dict[str, list[Diagnostics]] = {}
        self._told: set[str] = set()

    def see(self, kind: str, found: Mapping[str, Diagnostics]) -> dict[str, str]:
        """Take in the diagnostics of a step or a look, told apart by `kind`; `alarm/TASK` -> why it looks collapsed."""
        alarms = {}
        for task, one in found.items():
            key = f"{kind}/{task}"
            self._seen[key] = rewards.ends([*self._seen.get(key, ()), one])
            if (why := rewards.alarm(self._seen[key], top_share=self.tops[task])) is not None:
                alarms[f"alarm/{task}"] = f"{kind}: {why}"
        return alarms

    def raise_alarm(self, alarms: Mapping[str, str]) -> None:
        """Say an alarm of a task once; raises ViubenchError where the configuration asks for a stop."""
        for name, why in alarms.items():
            task = name.removeprefix("alarm/")
            if self.stop:
                raise ViubenchError(
                    f"{task} looks collapsed: {why}",
                    where="guards.alarm",
                    hint="lower lr, raise kl or mend the warm start; guards.alarm: warn goes on nevertheless",
                )
            if task not in self._told:
                self._say(f"warning: {task} looks collapsed: {why}")
            self._told.add(task)

    def state(self) -> dict[str, Any]:
        """What a resumed run must know, as JSON."""
        return {key: [vars(one) | {"answers": list(one.answers)} for one in seen] for key, seen in self._seen.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        self._seen = {
            key: [Diagnostics(**one | {"answers": tuple(one["answers"])}) for one in seen]
            for key, seen in state.items()
        }
