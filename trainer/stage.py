"""One stage of a training, warm start or GRPO: what both do around transformers' Trainer.

Example:
    stage = Stage(config, Path("runs/train"), questions, policy, rewarder=rewarder)
    last = stage.run(lambda: VideoGRPOTrainer(stage, sampler))   # resumes where it can; the last checkpoint
It locks the folder, resumes, writes train.jsonl, validates, watches for a collapse, evaluates, saves and prunes.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback

from trainer import checks
from trainer.checkpoints import checkpoint, metrics_log
from trainer.checkpoints.metrics_log import MetricsLog
from trainer.checkpoints.model_card import build_manifest, render_card
from trainer.config import TrainConfig
from trainer.dataset import Questions, of_task
from trainer.model.policy import Policy
from trainer.processes import SINGLE, Processes
from trainer.rewards import AnswerGroup, Diagnostics, Rewarder, diagnose_tasks, top_share_limit
from viubench.errors import ViubenchError
from viubench.schema import Sample
from viubench.storage import locking
from viubench.storage.run_dir import write_json

WRITTEN = ".saving"  # folder beside the checkpoints that transformers writes into
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
# In the messages of torch and safetensors, whose errors have no number.
NOT_WRITTEN = ("No space left", "PytorchStreamWriter failed", "inline_container.cc", "File too large")


class Stage(TrainerCallback):  # type: ignore[misc]
    """The parts of a training in folder `out`. `progress` gets each step's metrics, `evaluation` the step of each
    checkpoint that the harness is to evaluate (see `trainer.harness_eval`); `argv` is for the manifest."""

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        questions: Questions,
        policy: Policy,
        *,
        rewarder: Rewarder,
        processes: Processes = SINGLE,
        progress: Callable[[dict[str, Any]], None] = lambda metrics: None,
        evaluation: Callable[[int], None] | None = None,
        warn: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
        argv: Sequence[str] = (),
    ) -> None:
        self.config, self.out, self.questions, self.policy = config, out, questions, policy
        self.processes, self.rewarder, self.progress, self.evaluation = processes, rewarder, progress, evaluation
        self.manifest = build_manifest(config, questions, policy, argv)
        self.log = MetricsLog(out)
        constants = checks.constant_baselines(questions, config)
        self.baselines = {f"floor/{task}": value for task, value in constants.items()}
        warn = warn if processes.is_main else lambda text: None
        items, stop = questions.train.samples, config.checks.on_collapse == "stop"
        limits = {task: top_share_limit(of_task(task, items), one) for task, one in questions.evaluators.items()}
        self.monitor = checks.CollapseMonitor(limits, stop=stop, warn=warn)
        self.numbers: dict[str, float] = dict(self.baselines)  # of the step that is not logged yet
        self.alarms: dict[str, str] = {}
        self.logged: dict[str, Any] = {}
        self.eval_steps = config.eval_steps
        self.finished: dict[str, Any] = {}
        """What a resumed run needs beside weights and optimizer after the last finished step, as JSON."""
        self._started = time.perf_counter()

    def run(self, build: Callable[[], Any]) -> Path:
        """Train to the end from the last checkpoint, if there is one; returns the last one then. `build` returns the
        Trainer. Raises ViubenchError where a check stopped the run, memory or disk ran out, the checkpoint is damaged
        or of another configuration, or another process trains there; the message says where the finished steps are
        saved."""
        if self.eval_steps and not self.questions.held_out.samples:
            said = f"validation is asked for every {self.eval_steps} steps, and there are no validation items"
            hint = "give some, or set eval_steps: 0 and no warm_start.thresholds"
            raise ViubenchError(said, where="items.validation", hint=hint)
        try:
            trainer = build()
        except (ValueError, TypeError, ImportError, RuntimeError, NotImplementedError) as error:  # their own checks
            refused = ViubenchError(f"the trainer does not take the configuration: {error}", where="--config")
            raise told(error, self.out) or refused from error
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(self)
        with self._locked(), self._saving_on_error(trainer):
            last = checkpoint.latest(self.out)
            if last is not None:
                self.restore(checkpoint.read_state(last, self.manifest["run"]))
                self.finished = self.present()
            if self.processes.is_main:
                step = 0 if last is None else checkpoint.step_of(last)
                self.log.cut(step)
                write_json(self.out / "manifest.json", self.manifest)
                self._finish(step)
            trainer.train(resume_from_checkpoint=last and str(last))
        last = checkpoint.latest(self.out)
        assert last is not None, "there is at least one step, and the last one is saved"
        return last

    def present(self) -> dict[str, Any]:
        """The state as it is now, perhaps within a step."""
        state = {"run": self.manifest["run"], "monitor": self.monitor.state(), "log": self.logged}
        curriculum = self.questions.curriculum
        return state if curriculum is None else state | {"cells": curriculum.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `present` returned."""
        self.monitor.restore(state["monitor"])
        self.logged = dict(state["log"])
        if self.questions.curriculum is not None:
            self.questions.curriculum.restore(state["cells"])

    def card(self) -> str:
        """README.md of a checkpoint of the last logged step."""
        return render_card(self.manifest, self.logged)

    def validated(self, results: Mapping[str, Diagnostics]) -> None:
        """Called with the results of each validation."""
        self.alarms |= self.monitor.update("validation", results)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the step's clock."""
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Validate when it is due, and have a checkpoint saved for the harness."""
        self.finished = self.present()
        step = state.global_step
        control.should_save |= self._evaluates(step)
        saves = control.should_save or step % args.save_steps == 0 or step == state.max_steps
        if self.eval_steps and (step % self.eval_steps == 0 or saves):
            samples = self.questions.validation(self.config.eval_limit)
            results = validate(self.policy, self.rewarder, self.questions, samples, self.config, self.processes)
            self.numbers |= task_metrics("validation/", results)
            self.validated(results)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_: Any) -> None:
        """Write the step's line, and stop where it has gone wrong."""
        if "loss" not in logs:  # the summary of the whole training
            return
        seconds = time.perf_counter() - self._started
        self.logged = {"step": state.global_step - 1, **logs, **self.alarms, "seconds": seconds}
        alarms, self.numbers, self.alarms = self.alarms, dict(self.baselines), {}
        self.finished = self.present()
        if self.processes.is_main:
            self.log.write(self.logged)
            self.progress(self.logged)
        self.monitor.report(alarms)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluate the checkpoint where that is due, and remove those that are not kept."""
        if self.processes.is_main:
            self._finish(state.global_step)

    def _evaluates(self, step: int) -> bool:
        harness = self.config.harness_eval
        return self.evaluation is not None and harness is not None and step > 0 and step % harness.eval_steps == 0

    def _finish(self, step: int) -> None:
        """Evaluate and prune after a checkpoint; a run that was killed meanwhile does it again, which costs nothing."""
        if self.evaluation is not None and self._evaluates(step):
            self.evaluation(step)
        checkpoint.prune(self.out, self.config.save_total_limit, scores(self.out) if self.config.save_best else {})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the folder. Raises ViubenchError while another process trains there."""
        self.out.mkdir(parents=True, exist_ok=True)
        busy = f"another process is training into {self.out}"
        lock = locking.acquire(self.out / ".lock", busy, where="--out") if self.processes.is_main else None
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    @contextmanager
    def _saving_on_error(self, trainer: Any) -> Iterator[None]:
        """Save the finished steps when the run fails inside; the error says where."""
        try:
            yield
        except Exception as error:  # safetensors has one of its own for a full disk
            if (plain := told(error, self.out)) is None:
                raise
            said = f"{plain.message} ({self._save(trainer)})"
            raise ViubenchError(said, where=plain.where, hint=plain.hint, exit_code=plain.exit_code) from error

    def _save(self, trainer: Any) -> str:
        steps, unsaved = trainer.state.global_step, ""
        if not steps:
            return "at the first step; nothing was trained yet"
        # Several processes cannot save when one of them fails, and a batch that is used again must be whole.
        if self.processes.size == 1 and steps % self.config.steps_per_batch == 0:
            try:
                trainer._save_checkpoint(trainer.model, None)
                return f"after {steps} steps; they are saved in {trainer.target()}"
            except Exception as error:
                unsaved = f", which could not be saved: {error}"
        last = checkpoint.latest(self.out)
        there = "no checkpoint was written yet" if last is None else f"the last checkpoint is {last}"
        return f"after {steps} steps{unsaved}; {there}"


class StageTrainer:
    """Mixed into the Trainer of a `stage`: logs the stage's measures, and writes checkpoints that engines open as they
    are. transformers writes model, optimizer, scheduler and random numbers; processor and chat template, the state of
    the checks and a list of files come along. Of a LoRA training the checkpoint is the merged model."""

    stage: Stage
    args: Any
    state: Any
    model: Any
    accelerator: Any
    _aside: Path | None = None

    def target(self) -> Path:
        """The folder of the checkpoint after the present step."""
        return checkpoint.named(Path(self.args.output_dir), self.state.global_step)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self.target().is_dir():  # a run that failed right after it saved
            return
        written = self.target().parent / WRITTEN
        if self.stage.processes.is_main:
            shutil.rmtree(written, ignore_errors=True)  # of a killed writer
        self.accelerator.wait_for_everyone()
        self._aside = written
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
        finally:
            self._aside = None
        self.accelerator.wait_for_everyone()
        if self.stage.processes.is_main:
            with checkpoint.atomic_folder(self.target()) as aside:
                for path in written.glob("checkpoint-*/*"):
                    os.rename(path, aside / path.name)
                self._complete(aside)
            shutil.rmtree(written)
        self.accelerator.wait_for_everyone()

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._aside or self.args.output_dir)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """TRL's card is not written; `card` is."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As transformers', with the measures of the stage."""
        super().log(logs | self.stage.numbers if "loss" in logs else logs, start_time)  # type: ignore[misc]

    def _complete(self, folder: Path) -> None:
        """Add what transformers does not save."""
        unwrapped = self.accelerator.unwrap_model(self.model)
        if hasattr(unwrapped, "peft_config"):
            adapter = folder / "adapter"
            adapter.mkdir()
            for path in list(folder.glob("adapter_*")):
                os.rename(path, adapter / path.name)
            # Of a copy: merging and unmerging would leave other bits in the weights.
            deepcopy(unwrapped).merge_and_unload().save_pretrained(folder)
            (adapter / "README.md").write_text(self.stage.card(), encoding="utf-8")
        # The base's number format comes along: engines open float32 weights in the one they were computed in.
        for pattern in checkpoint.FROM_BASE:
            for path in filter(Path.is_file, self.stage.policy.path.glob(pattern)):
                shutil.copyfile(path, folder / path.name)
        (folder / "README.md").write_text(self.stage.card(), encoding="utf-8")
        checkpoint.write_json(folder / checkpoint.STATE, {"schema": checkpoint.SCHEMA, **self.stage.finished})

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights; of a LoRA training the adapter's, for the checkpoint's own are merged."""
        adapter = Path(resume_from_checkpoint) / "adapter"
        where = str(adapter) if adapter.is_dir() else resume_from_checkpoint
        super()._load_from_checkpoint(where, model)  # type: ignore[misc]


def validate(
    policy: Policy,
    rewarder: Rewarder,
    questions: Questions,
    samples: Sequence[Sample],
    config: TrainConfig,
    processes: Processes,
) -> dict[str, Diagnostics]:
    """Diagnostics of each task over greedy answers to `samples`, of which each process answers its share. All processes
    answer equally many, some a question twice: with sharded weights each forward pass needs them all."""
    groups = []
    share, size = processes.share(samples), config.micro_batch_size
    share += samples[: -(-len(samples) // processes.size) - len(share)]
    for batch in (share[start : start + size] for start in range(0, len(share), size)):
        packed = policy.stack([policy.pack(sample, questions.videos(sample)) for sample in batch])
        rollouts = policy.rollout(packed, 1, [0] * len(batch), 0.0, config.max_completion_length)
        lengths = rollouts.mask.sum(1).tolist()
        for sample, text, stopped, length in zip(batch, rollouts.texts, rollouts.stopped, lengths, strict=True):
            groups.append(AnswerGroup(sample.task, [rewarder(sample, text, "stop" if stopped else "length")], [length]))
    return diagnose_tasks(processes.gather(groups[: len(processes.share(samples))]))


def told(error: Exception, out: Path) -> ViubenchError | None:
    """The error as a user reads it; None for a fault of the program."""
    if isinstance(error, ViubenchError):
        return error
    text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    logger = type(error).__module__.partition(".")[0]
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        what, where = "out of memory", "training"
        hint = "lower micro_batch_size, set gradient_checkpointing: true, or leave vLLM less memory "
        hint += "(rollout.engine_args.gpu_memory_utilization); rerun to resume, these may change"
    elif getattr(error, "errno", None) in DISK or any(words in str(error) for words in NOT_WRITTEN):
        what, where, hint = "the disk cannot be written", str(out), "free some space and rerun to resume"
    elif any(word in text.lower() for word in ("gloo", "nccl", "connection closed by peer", "connection reset")):
        what, where = "another process of the training is gone", "torchrun"
        hint = "it was killed, perhaps out of memory, or its own message is above; rerun to resume"
    elif logger in ("wandb", "trackio"):
        what, where, hint = logger, "report_to", f"log in to {logger}, or take it out of report_to; rerun to resume"
    else:
        return None
    return ViubenchError(f"{what}: {text}", where=where, hint=hint)


@contextmanager
def in_plain_words(out: Path) -> Iterator[None]:
    """What goes wrong inside as `told`: an out-of-memory while a model is opened, say."""
    try:
        yield
    except Exception as error:
        plain = told(error, out)
        if plain in (None, error):
            raise
        raise plain from error


def task_metrics(prefix: str, tasks: Mapping[str, Diagnostics]) -> dict[str, float]:
    """The diagnostics of each task as `prefixTASK/measure`."""
    return {f"{prefix}{task}/{name}": number for task, one in tasks.items() for name, number in one.numbers().items()}


def scores(folder: Path) -> dict[str, float]:
    """Name of a checkpoint -> its score in [0, 1], the mean over tasks of the validation beside it, from the log."""
    steps = {line["step"] + 1: metrics_log.validation_scores(line) for line in metrics_log.read(folder)}
    return {checkpoint.named(folder, step).name: fmean(tasks.values()) for step, tasks in steps.items() if tasks}


def best(folder: Path) -> tuple[Path, float] | None:
    """The checkpoint in `folder` of the highest score, the earlier of equals; None without a validation."""
    by_name = scores(folder)
    top = checkpoint.best(folder, by_name)
    return None if top is None else (top, by_name[top.name])
