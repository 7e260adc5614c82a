"""GRPO on questions about videos: TRL's GRPOTrainer, fed with true frames and times and rewarded by the evaluators.

Example:
    last = train(config, Path("runs/train"), questions, Policy.open(Path(config.model)), progress=print)

TRL has the losses, the optimizer, the processes, saving and resuming. What it has not is video: rollouts, and the
log-probabilities of answers about one, are replaced here. A batch depends on (seed, number) alone.
Source: DeepSeekMath (arXiv 2402.03300); rewards and settings: VideoSSR (arXiv 2511.06281), section 3.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from datasets.table import InMemoryTable
from torch import Tensor

from trainer import checks
from trainer.arguments import grpo_arguments
from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.model import forward
from trainer.model.packing import Packed
from trainer.model.policy import Policy
from trainer.rewards import Rewarder, diagnose, diagnose_tasks, shaped
from trainer.rollouts.sampler import Answered, PolicyRollouts, RolloutSource, Sampler, log_answers
from trainer.stage import Stage, StageTrainer, task_metrics
from trainer.trl_imports import GRPOTrainer, split_tensor_dict
from viubench.errors import ViubenchError


class VideoGRPOTrainer(StageTrainer, GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer over a `Stage` whose questions are answered by `sampler`."""

    _buffered_inputs: Any

    def __init__(self, stage: Stage, sampler: Sampler) -> None:
        config, policy = stage.config, stage.policy
        self.config, self.policy, self.stage, self.sampler = config, policy, stage, sampler
        # Questions by number; fingerprinted, as datasets would pickle modules for one, which fails for some installs.
        batches = -(-config.max_steps // config.steps_per_batch)
        turns = {"prompt": list(map(str, range(batches * config.train_batch_size)))}
        super().__init__(
            model=policy.base,
            reward_funcs=[evaluators],
            args=grpo_arguments(config, stage.out, stage.processes),
            train_dataset=Dataset(InMemoryTable.from_pydict(turns), fingerprint="turns"),
            processing_class=policy.processor,
            peft_config=policy.peft_config,
            rollout_func=lambda prompts, trainer: trainer.sample(prompts),
        )
        if self.ref_model is not None:
            forward.accept_packed(self.accelerator.unwrap_model(self.ref_model))
        # TRL's corrections for rollouts by vLLM, of which it needs only that the weights are synced.
        self.use_vllm = config.rollout.engine == "vllm"
        self.vllm_generation, self._last_loaded_step = sampler.source, -1
        self.size = self.args.per_device_train_batch_size // config.num_generations
        self._answered: list[Answered] = []
        self._stacked: dict[int, Packed] = {}
        self._scored: Sequence[int] = ()
        self._logprobs: Tensor | None = None
        self._patience = checks.Patience(config.checks.patience)

    def sample(self, prompts: Sequence[str]) -> dict[str, Any]:
        """What TRL takes from a rollout function: token ids and log-probabilities of each answer, and its reward."""
        started = time.perf_counter()
        number = int(prompts[0]) // self.config.train_batch_size
        self._answered = answered = self.sampler.batch(number)
        self.sampler.source.sleep()
        self._stacked.clear()
        self.stage.numbers["seconds/rollout"] = time.perf_counter() - started
        self._diagnose(number, answered)
        rows = [(one, row, kept) for one in answered for row, kept in enumerate(one.rollouts.mask)]
        result: dict[str, Any] = {
            "prompt_ids": [one.packed.inputs["input_ids"][0].tolist() for one, _, _ in rows],
            "completion_ids": [one.rollouts.tokens[row][kept].tolist() for one, row, kept in rows],
            "logprobs": [one.rollouts.logprobs[row][kept].tolist() for one, row, kept in rows],
            "reward": [value for one in answered for value in shaped(one.rewards, one.group().lengths, self.config)],
        }
        if self.config.dynamic_sampling != "none":
            result["env_mask"] = [[int(one.group().varies)] * int(kept.sum()) for one, _, kept in rows]
        return result

    def _diagnose(self, number: int, answered: Sequence[Answered]) -> None:
        """Measure the answers, log some of them, and stop a run that cannot learn."""
        groups = self.stage.processes.gather([one.group() for one in answered])
        tasks, whole = diagnose_tasks(groups), diagnose(groups)
        # Over all tasks, without what only means something within one.
        self.stage.numbers |= {name: getattr(whole, name) for name in ("strict", "parsed", "zero_advantage", "length")}
        self.stage.numbers |= task_metrics("", tasks)
        if (curriculum := self.sampler.questions.curriculum) is not None:
            self.stage.numbers |= curriculum.measures()
        self.stage.alarms |= self.stage.monitor.update("training", tasks)
        if self.stage.processes.is_main and self.config.log_completions:
            log_answers(self.stage.out, number * self.config.steps_per_batch, answered, self.config)
        self._patience.update(whole)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        size = self.args.per_device_train_batch_size
        self._scored = range(len(inputs) // size)
        result: dict[str, Any] = super()._generate_and_score_completions(inputs)
        result["micro_batch"] = torch.arange(len(inputs)) // size
        return result

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """As TRL's, but the answers are not shuffled: those to one question share its prompt."""
        parts = self.args.steps_per_generation
        if self._step % (parts * self.num_iterations) == 0 or self._buffered_inputs is None:
            self._buffered_inputs = split_tensor_dict(self._generate_and_score_completions(generation_batch), parts)
        return self._buffered_inputs[self._step % parts]

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self._scored = [int(inputs["micro_batch"][0])]
        loss: Tensor = super()._compute_loss(model, inputs)
        # As long as no step has changed the weights, the rollouts are those of the policy.
        done = self._step % (self.args.steps_per_generation * self.num_iterations)
        if done < self.args.gradient_accumulation_steps:
            assert self._logprobs is not None, "the loss has computed them"
            off = self._logprobs - inputs["sampling_per_token_logps"]
            gaps, largest = checks.gaps(off, inputs["completion_mask"].bool(), self.size)
            checks.check_logprob_gap(gaps, self._packed(self._scored[0]), self.config.max_logprob_gap)
            self._metrics["train"]["gap"].append(float(gaps.mean()))
            self.stage.numbers["gap_max"] = max(largest, self.stage.numbers.get("gap_max", 0.0))
        return loss

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor, None]:
        """As TRL's, of answers about videos; the wrapped `model` is called, or gradients would not be summed."""
        tokens, mask = input_ids[:, -logits_to_keep:], attention_mask[:, -logits_to_keep:].bool()
        size = self.args.per_device_train_batch_size
        parts = []
        for at, number in enumerate(self._scored):
            rows = slice(at * size, (at + 1) * size)
            length = max(int(mask[rows].sum(1).max()), 1)
            answers = tokens[rows, :length], mask[rows, :length]
            scored = forward.score(self, model, self.policy.base, self._packed(number), *answers, self.temperature)
            parts.append([torch.nn.functional.pad(one, (0, logits_to_keep - length)) for one in scored])
        logprobs, entropies = (torch.cat(one) for one in zip(*parts, strict=True))
        self._logprobs = logprobs.detach()
        return logprobs, entropies, None

    def _packed(self, number: int) -> Packed:
        if number not in self._stacked:
            rows = [one.packed for one in self._answered[number * self.size : (number + 1) * self.size]]
            self._stacked[number] = self.policy.stack(rows)
        return self._stacked[number]

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if not math.isfinite(norm):
            hint = "lower learning_rate or max_grad_norm, or use float32"
            raise ViubenchError(f"grad_norm is {float(norm)}", where="training", hint=hint)
        return norm


def train(
    config: TrainConfig,
    out: Path,
    questions: Questions,
    policy: Policy,
    source: RolloutSource | None = None,
    **more: Any,
) -> Path:
    """Run or resume the training in folder `out`; returns the last checkpoint. `policy` is opened from the base model,
    the reference of the KL term; `source` samples the rollouts (None: the policy itself); `more`, and what is raised,
    are those of `Stage` and its `run`."""
    rewarder = Rewarder({name: task.reward for name, task in config.tasks.items()}, questions.evaluators, config.seed)
    stage = Stage(config, out, questions, policy, rewarder=rewarder, **more)
    checks.check_video_used(policy, questions, config)
    source = source or PolicyRollouts(policy, config.micro_batch_size)
    sampler = Sampler(config, policy, source, questions, rewarder, stage.processes)
    return stage.run(lambda: VideoGRPOTrainer(stage, sampler))


def evaluators(reward: list[float], **_: Any) -> list[float]:
    """The rewards that the rollouts brought along."""
    return reward
