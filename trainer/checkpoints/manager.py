"""The checkpoints of a training run: gone on from, written, thinned out, and one more when the run breaks off.

Example:
    keeper = Keeper(config, out, policy, optimizer, log, manifest)
    with keeper.claimed(), keeper.rescuing(watch.state):
        first = keeper.resume()
        keeper.finished(step, told)         # after each step
        keeper.save(watch.state())          # when one is due

A checkpoint's score is what the greedy look beside it found on the validation items, the mean over tasks; the log
holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from trainer.checkpoints import checkpoint, metrics_log, optimizer_state
from trainer.checkpoints.model_card import card
from trainer.config import TrainConfig
from trainer.model.policy import Policy
from viubench.errors import ViubenchError
from viubench.storage import locking
from viubench.storage.run_dir import write_json

if TYPE_CHECKING:
    from torch.optim import Optimizer


class Keeper:
    """Writes and restores the checkpoints in folder `out`, for one process at a time.

    Args:
        manifest: of the run, see `cards.describe`; its `run` must be that of the checkpoints already there.

    Attributes:
        steps: finished so far.
        told: the log line of the last finished step.
    """

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        policy: Policy,
        optimizer: Optimizer,
        lines: metrics_log.Log,
        manifest: dict[str, Any],
    ) -> None:
        self.config, self.out, self.policy, self.optimizer, self.lines = config, out, policy, optimizer, lines
        self.manifest, self.ranks = manifest, policy.ranks
        self.steps = 0
        self.told: dict[str, Any] = {}

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder. Raises ViubenchError while another run trains into it."""
        self.out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            with self.ranks.agree():
                if self.ranks.first:
                    busy = f"another process is training into {self.out}"
                    held.callback(locking.acquire(self.out / ".lock", busy, where="--out").release)
            yield

    def resume(self) -> dict[str, Any]:
        """Go on from the last whole checkpoint, if there is one; then the log ends where it does.

        Returns:
            What `save` was given as `extra`; {} at the start of a run.

        Raises:
            ViubenchError: that checkpoint is of another configuration, other items or another base model, or damaged.
        """
        extra: dict[str, Any] = {}
        optimizer_state.seed_random(self.config.seed)
        if (last := checkpoint.latest(self.out)) is not None:
            found = checkpoint.restore(
                last, self.policy.model, self.optimizer, config_hash=self.manifest["run"], ranks=self.ranks
            )
            self.steps, self.told, extra = found["step"], found["log"], found["extra"]
        self.lines.cut(self.steps)
        if self.ranks.first:
            write_json(self.out / "manifest.json", self.manifest)
        return extra

    def finished(self, step: int, told: dict[str, Any]) -> None:
        """Step `step` (from 0) changed the weights; `told` is what its log line will be and may still grow."""
        self.steps, self.told = step + 1, told

    def due(self, step: int) -> bool:
        """Whether a checkpoint is written after `step`: every so many, after the last, and for the harness."""
        return step + 1 == self.config.steps or (step + 1) % self.config.save.every == 0 or self.evaluates(step)

    def evaluates(self, step: int) -> bool:
        """Whether the harness evaluates the checkpoint after `step`."""
        harness = self.config.evaluate.harness
        return harness is not None and (step + 1) % harness.every == 0

    def logged(self) -> bool:
        """Whether the line of the last finished step is in the log; a kill may come between checkpoint and line."""
        lines = metrics_log.read(self.out)
        return self.ranks.told(not self.steps or bool(lines and lines[-1]["step"] == self.steps - 1))

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
            log=self.told,
            card=card(self.manifest, self.told),
            ranks=self.ranks,
        )

    def prune(self) -> None:
        """Remove the checkpoints that the configuration does not keep."""
        if not self.ranks.first:
            return
        best = scores(self.out) if self.config.save.keep_best else {}
        checkpoint.prune(self.out, self.config.save.keep_last, best)

    @contextmanager
    def rescuing(self, extra: Callable[[], dict[str, Any]]) -> Iterator[None]:
        """When the run breaks off inside, see that the finished steps are saved, and say where."""
        try:
            yield
        except ViubenchError as error:
            saved = self._rescued(extra) if self.ranks.can_save(error) else self._left()
            raise ViubenchError(
                f"{error.message} ({saved})", where=error.where, hint=error.hint, exit_code=error.exit_code
            ) from error

    def _left(self) -> str:
        """What a run that ends in one process only, which cannot save alone, leaves behind."""
        found = checkpoint.latest(self.out)
        return "no checkpoint was written yet" if found is None else f"{found} is what was saved last"

    def _rescued(self, extra: Callable[[], dict[str, Any]]) -> str:
        if not self.steps:
            return "at the first step; nothing was trained yet"
        try:
            last = self.out / f"checkpoint-{self.steps:06d}"
            if not self.ranks.told(last in checkpoint.complete(self.out)):
                self.save(extra())
            if not self.logged() and not self.evaluates(self.steps - 1):
                self.lines.write(self.told)
        except (ViubenchError, OSError) as error:
            return f"after {self.steps} steps, which could not be saved: {error}"
        return f"after {self.steps} steps; they are saved in {last}"


def scores(folder: Path) -> dict[str, float]:
    """Name of a checkpoint -> its score in [0, 1], for every step that had a look; some may be gone."""
    looks = {line["step"] + 1: metrics_log.looked(line) for line in metrics_log.read(folder)}
    return {f"checkpoint-{step:06d}": fmean(found.values()) for step, found in looks.items() if found}


def best(folder: Path) -> tuple[Path, float] | None:
    """The checkpoint of the highest score among those that are there, the earlier of equals; None without looks."""
    found = scores(folder)
    there = [path for path in checkpoint.complete(folder) if path.name in found]
    top = max(there, key=lambda path: found[path.name], default=None)
    return None if top is None else (top, found[top.name])
