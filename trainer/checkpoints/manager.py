"""The checkpoint manager of a training run: resume, save, prune, and save once more when the run fails.

Example:
    with manager.locked(), manager.saving_on_error(monitor.state):
        extra = manager.resume()             # then, after each step, step_done, and save where is_due

A checkpoint's score is the mean over tasks of the validation beside it, from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from trainer.checkpoints import checkpoint, metrics_log, optimizer_state
from trainer.checkpoints.model_card import render_card
from trainer.config import TrainConfig
from trainer.model.policy import Policy
from viubench.errors import ViubenchError
from viubench.storage import locking
from viubench.storage.run_dir import write_json

if TYPE_CHECKING:
    from torch.optim import Optimizer


class CheckpointManager:
    """Saves and restores the checkpoints in folder `out`, for one run at a time.

    `manifest["run"]` must be that of the checkpoints in `out`. `steps` are finished, `metrics` those of the last one.
    """

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        policy: Policy,
        optimizer: Optimizer,
        log: metrics_log.MetricsLog,
        manifest: dict[str, Any],
    ) -> None:
        self.config, self.out, self.policy, self.optimizer, self.log = config, out, policy, optimizer, log
        self.manifest, self.processes = manifest, policy.processes
        self.steps = 0
        self.metrics: dict[str, Any] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder. Raises ViubenchError while another process trains there."""
        self.out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with self.processes.raise_together():
                if self.processes.is_main:
                    busy = f"another process is training into {self.out}"
                    stack.callback(locking.acquire(self.out / ".lock", busy, where="--out").release)
            yield

    def resume(self) -> dict[str, Any]:
        """Restore the last complete checkpoint, if there is one, and cut the log off behind it.

        Returns the `extra` of `save`; {} at the start of a run.

        Raises:
            ViubenchError: that checkpoint is of another configuration, other items or another base model, or damaged.
        """
        extra: dict[str, Any] = {}
        optimizer_state.seed_random(self.config.seed)
        if (last := checkpoint.latest(self.out)) is not None:
            saved = checkpoint.restore(
                last, self.policy.model, self.optimizer, config_hash=self.manifest["run"], processes=self.processes
            )
            self.steps, self.metrics, extra = saved["step"], saved["log"], saved["extra"]
        self.log.cut(self.steps)
        if self.processes.is_main:
            write_json(self.out / "manifest.json", self.manifest)
        return extra

    def step_done(self, step: int, metrics: dict[str, Any]) -> None:
        """Step `step` (from 0) changed the weights; `metrics` becomes its log line and may still grow."""
        self.steps, self.metrics = step + 1, metrics

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is written after `step`: regularly, after the last, and for the harness."""
        return step + 1 == self.config.max_steps or (step + 1) % self.config.save_steps == 0 or self.evaluates(step)

    def evaluates(self, step: int) -> bool:
        """Whether the harness evaluates the checkpoint after `step`."""
        harness = self.config.harness_eval
        return harness is not None and (step + 1) % harness.eval_steps == 0

    def logged(self) -> bool:
        """Whether the last finished step is in the log; a kill may come between checkpoint and log line."""
        lines = metrics_log.read(self.out)
        return self.processes.broadcast(not self.steps or bool(lines and lines[-1]["step"] == self.steps - 1))

    def save(self, extra: dict[str, Any]) -> Path:
        """Write the checkpoint of the finished steps."""
        return checkpoint.save(
            self.out,
            step=self.steps,
            model=self.policy.model,
            base=self.policy.path,
            optimizer=self.optimizer,
            config_hash=self.manifest["run"],
            extra=extra,
            log=self.metrics,
            card=render_card(self.manifest, self.metrics),
            processes=self.processes,
        )

    def prune(self) -> None:
        """Remove the checkpoints that the configuration does not keep."""
        if self.processes.is_main:
            best = scores(self.out) if self.config.save_best else {}
            checkpoint.prune(self.out, self.config.save_total_limit, best)

    @contextmanager
    def saving_on_error(self, extra: Callable[[], dict[str, Any]]) -> Iterator[None]:
        """Save the finished steps when the run fails inside; the error says where."""
        try:
            yield
        except ViubenchError as error:
            if self.processes.can_save(error):
                saved = self._save_on_error(extra)
            else:  # one process fails alone
                last = checkpoint.latest(self.out)
                saved = "no checkpoint was written yet" if last is None else f"the last checkpoint is {last}"
            raise ViubenchError(
                f"{error.message} ({saved})", where=error.where, hint=error.hint, exit_code=error.exit_code
            ) from error

    def _save_on_error(self, extra: Callable[[], dict[str, Any]]) -> str:
        if not self.steps:
            return "at the first step; nothing was trained yet"
        try:
            last = self.out / f"checkpoint-{self.steps:06d}"
            if not self.processes.broadcast(last in checkpoint.complete(self.out)):
                self.save(extra())
            if not self.logged() and not self.evaluates(self.steps - 1):
                self.log.write(self.metrics)
        except (ViubenchError, OSError) as error:
            return f"after {self.steps} steps, which could not be saved: {error}"
        return f"after {self.steps} steps; they are saved in {last}"


def scores(folder: Path) -> dict[str, float]:
    """Name of a checkpoint -> its score in [0, 1], for every step with a validation; some may be pruned."""
    steps = {line["step"] + 1: metrics_log.validation_scores(line) for line in metrics_log.read(folder)}
    return {f"checkpoint-{step:06d}": fmean(tasks.values()) for step, tasks in steps.items() if tasks}


def best(folder: Path) -> tuple[Path, float] | None:
    """The checkpoint in `folder` of the highest score, the earlier of equals; None without a validation."""
    by_name = scores(folder)
    top = checkpoint.best(folder, by_name)
    return None if top is None else (top, by_name[top.name])
