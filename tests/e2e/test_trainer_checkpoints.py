"""The checkpoints of a run: the last and the best stay, none is lost to a kill, and no two runs are mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_training import Stop, Vowels, config, go, stop_after, untimed

from trainer import grpo
from trainer.checkpoints import checkpoint, manager
from trainer.checkpoints.metrics_log import MetricsLog, read
from trainer.rewards import Diagnostics
from viubench.engines import tiny_checkpoints
from viubench.errors import ViubenchError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.engine


def test_the_last_and_the_best_checkpoint_stay(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    scores = iter([0.3, 0.9, 0.5, 0.6, 0.2])

    def validate(*_: Any) -> dict[str, Diagnostics]:
        return {"few": Diagnostics(next(scores), 0, 1, 0, 1, 0.1, 3, ("a",))}

    monkeypatch.setattr(grpo, "validate", validate)
    chosen = config(world, tiny_model, max_steps=5, save_steps=1, save_total_limit=2, eval_steps=9)
    go(chosen, world, tmp_path / "run")
    assert [path.name[-1] for path in checkpoint.complete(tmp_path / "run")] == ["2", "4", "5"]
    assert manager.best(tmp_path / "run") == (tmp_path / "run" / "checkpoint-000002", 0.9)
    card = (tmp_path / "run" / "checkpoint-000002" / "README.md").read_text()
    assert "| few | 0.900 | 0.000 |" in card
    scores = iter([0.9, 0.3, 0.5, 0.6, 0.2])
    saving = {"save_steps": 1, "save_total_limit": 1, "save_best": False}
    last = config(world, tiny_model, max_steps=5, eval_steps=9, **saving)
    go(last, world, tmp_path / "last")
    assert [path.name[-1] for path in checkpoint.complete(tmp_path / "last")] == ["5"]


def test_a_kill_between_checkpoint_and_log_line_loses_neither(
    tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "Rewarder", Vowels)
    chosen = config(world, tiny_model)
    go(chosen, world, tmp_path / "whole")
    write = MetricsLog.write

    def killed(self: MetricsLog, metrics: Any) -> None:
        if metrics["step"] == 1:
            raise Stop
        write(self, metrics)

    monkeypatch.setattr(MetricsLog, "write", killed)
    with pytest.raises(Stop):
        go(chosen, world, tmp_path / "run")
    assert checkpoint.latest(tmp_path / "run") == tmp_path / "run" / "checkpoint-000002"
    assert [line["step"] for line in read(tmp_path / "run")] == [0]
    monkeypatch.setattr(MetricsLog, "write", write)
    go(chosen, world, tmp_path / "run")
    assert untimed(read(tmp_path / "run")) == untimed(read(tmp_path / "whole"))


def test_another_run_is_not_mixed_in(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    chosen = config(world, tiny_model, max_steps=2)
    with pytest.raises(Stop):
        go(chosen, world, tmp_path / "run", stop_after(1))
    with pytest.raises(ViubenchError, match="another configuration"):
        go(config(world, tiny_model, max_steps=2, learning_rate=0.02), world, tmp_path / "run")
    other = tmp_path / "model"
    tiny_checkpoints.write(other, seed=1)
    with pytest.raises(ViubenchError, match="another configuration"):
        go(config(world, other, max_steps=2), world, tmp_path / "run")
    renamed = config(world, tiny_model, max_steps=2, checks={"on_collapse": "stop"}, run_name="renamed")
    go(renamed, world, tmp_path / "run")


def test_one_process_at_a_time_trains_into_a_folder(tiny_model: Path, world: Path, tmp_path: Path) -> None:
    chosen = config(world, tiny_model, max_steps=1)

    def second(told: dict[str, Any]) -> None:
        with pytest.raises(ViubenchError, match="another process is training into"):
            go(chosen, world, tmp_path / "run")
        told["second"] = True

    told: list[dict[str, Any]] = []
    go(chosen, world, tmp_path / "run", lambda line: (second(line), told.append(line)))
    assert told[0]["second"]
