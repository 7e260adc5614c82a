"""Evaluations during training: `viubench run` on a new checkpoint, in a process of its own; an ordinary run folder.

Example:
    evaluation = HarnessEvaluation(config, out, frame_cache=None, include_paths=())
    evaluation(40)  # of out/checkpoint-000040 into out/evaluations/step-000040
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from viubench.engines.checkpoints import describe_checkpoint
from viubench.errors import ViubenchError
from viubench.storage.run_dir import read_manifest
from viubench.system import child_process

# How variables begin that torchrun and accelerate set; an engine would wait for other processes.
LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "ACCELERATE_", "FSDP_", "TORCHELASTIC_")


@dataclass(frozen=True)
class HarnessEvaluation:
    """Evaluates checkpoints of the training in `out` as its configuration says."""

    config: TrainConfig
    out: Path
    frame_cache: Path | None = None
    include_paths: Sequence[Path] = ()

    def __call__(self, step: int) -> None:
        """Evaluate the checkpoint after `step` steps; ViubenchError where the run failed."""
        run = self.out / "evaluations" / f"step-{step:06d}"
        run.parent.mkdir(parents=True, exist_ok=True)
        log = run.with_suffix(".log")
        command = self.command(self.out / f"checkpoint-{step:06d}", run)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHED)}
        code = child_process.run([sys.executable, *command], log, environment=environment)
        if code:
            last = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-400:]
            said = f"the evaluation after {step} steps ended with exit code {code}: {last}"
            raise ViubenchError(said, where=str(log), hint="rerun the same command to resume")

    def command(self, checkpoint: Path, run: Path) -> list[str]:
        """Arguments of Python that evaluate `checkpoint` into the run folder `run`."""
        config, settings = self.config, self.config.harness_eval
        assert settings is not None, "called only with harness_eval"
        options: dict[str, Any] = {"--model": checkpoint, "--tasks": config.items.validation, "--out": run}
        options |= {"--protocol": config.protocol, "--videos": config.items.videos, "--limit": settings.limit}
        options |= {"--engine": settings.engine, "--frame-cache": self.frame_cache}
        given = [str(part) for name, value in options.items() if value for part in (name, value)]
        given += [f"--engine-arg={key}={value}" for key, value in settings.engine_args.items()]
        given += [f"--include-path={path}" for path in self.include_paths]
        if (run / "manifest.json").exists():
            manifest = read_manifest(run)
            now = (describe_checkpoint(str(checkpoint))["fingerprint"], settings.engine, settings.engine_args)
            # Of other weights or another engine, after steps that were repeated with another result.
            if (manifest.model.get("fingerprint"), manifest.engine.get("kind"), manifest.engine.get("args")) != now:
                given.append("--fresh")
        return ["-m", "viubench", "run", *given, "--quiet"]
