"""What both Trainers do at a step's end: log the stage's measures, and write checkpoints that engines open as they are.

Example:
    class VideoGRPOTrainer(StageTrainer, GRPOTrainer): ...

transformers writes model, optimizer, scheduler and random numbers. Here its folder is written aside and renamed when it
is complete; processor and chat template, the state of the checks and a list of files come along. Of a LoRA training the
checkpoint is the merged model, and the adapter is in its folder `adapter`.
"""

from __future__ import annotations

import os
import shutil
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.checkpoints import checkpoint

if TYPE_CHECKING:
    from trainer.stage import Stage

WRITTEN = ".saving"  # folder beside the checkpoints that transformers writes into


class StageTrainer:
    """Mixed into the Trainer of a `stage`; the main process writes all but each process's random numbers."""

    stage: Stage
    args: Any
    state: Any
    model: Any
    accelerator: Any
    _aside: Path | None = None

    def target(self) -> Path:
        """The folder of the checkpoint after the present step."""
        return Path(self.args.output_dir) / f"checkpoint-{self.state.global_step:06d}"

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the present step."""
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
