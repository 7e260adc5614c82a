"""Own questions as a run reads them.

Example:
    read([{"video": "a.mp4", "question": "What?", "options": ["a", "b"], "answer": "A"}], tmp_path).samples[0].target
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from viubench.datasets.dataset import Dataset
from viubench.runner.collect import Collector
from viubench.runner.config import EvalConfig


def read(tasks: Any, tmp_path: Path, **options: Any) -> Dataset:
    """The data set that `--tasks` names."""
    config = EvalConfig(engine="oracle", tasks=tasks, out=tmp_path / "run", **options)
    return Collector(config, tmp_path / "run").collect().datasets[0]
