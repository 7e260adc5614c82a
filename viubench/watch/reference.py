"""What the checkpoints of a watch are gated against: a reference run with the gate's configuration.

Example:
    Reference.load("runs/base", None).gate(Path("runs/step-000200")).verdict
    # 'pass'
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from viubench.comparison.gate import CODES, WORST_FIRST, gate
from viubench.errors import Exit, ViubenchError
from viubench.schema import GateConfig, GateOutcome, WatchEntry, content_hash, utf8
from viubench.storage import reference_run, strict_yaml
from viubench.storage.run_dir import read_manifest, read_results


@dataclass(frozen=True)
class Reference:
    """`against` changes with the records of the run and with the configuration."""

    path: Path
    config: GateConfig
    against: str

    @classmethod
    def load(cls, name: str, config: Path | None) -> Reference:
        """Raises ViubenchError when `name` is no finished run and no saved baseline, or `config` is invalid."""
        path, settings = reference_run.find(name), strict_yaml.load(config, GateConfig) if config else GateConfig()
        read_manifest(path)
        read_results(path)
        records = hashlib.sha256((path / "records.jsonl").read_bytes()).hexdigest()
        return cls(path, settings, content_hash([records, settings.model_dump(mode="json")]))

    def gate(self, run: Path) -> GateOutcome:
        """The verdict on a run; runs that cannot be compared get the verdict `error`, which ends no watch."""
        try:
            report = gate(self.path, run, self.config)
        except ViubenchError as error:
            reason = utf8(error.message)
            return GateOutcome(against=self.against, verdict="error", exit_code=Exit.INVALID_RUN, reason=reason)
        reasons = [f"{name}: {task.reason}" for name, task in report.tasks.items() if task.verdict != "pass"]
        return GateOutcome(
            against=self.against,
            verdict=report.verdict,
            exit_code=report.exit_code,
            tasks={name: task.verdict for name, task in report.tasks.items()},
            baseline={name: task.evidence.baseline for name, task in report.tasks.items() if task.evidence},
            mean=report.mean.baseline if report.mean else None,
            reason="; ".join([*report.problems, *reasons]),
        )


def exit_code(entries: Iterable[WatchEntry]) -> int:
    """The worst of the gate's exit codes; a checkpoint that could not be evaluated did not pass."""
    codes = {entry.gate.exit_code if entry.gate else Exit.INVALID_RUN for entry in entries}
    return next((CODES[verdict] for verdict in WORST_FIRST if CODES[verdict] in codes), Exit.OK)
