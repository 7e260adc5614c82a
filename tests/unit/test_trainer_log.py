"""The log of a run: one line a step, whole or not there, and cut where a resumed run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.checkpoints import metrics_log
from trainer.checkpoints.metrics_log import MetricsLog, read
from viubench.errors import ViubenchError


def line(step: int, **more: object) -> dict[str, object]:
    return {"step": step, "reward": step / 10, "order/reward": 0.5, **more}


def test_a_torn_line_is_no_line_and_is_cut_off(tmp_path: Path) -> None:
    lines = MetricsLog(tmp_path)
    lines.write(line(0))
    lines.write(line(1))
    whole = lines.path.read_bytes()
    lines.path.write_bytes(whole[:-7])
    assert read(tmp_path) == [line(0)]
    resumed = MetricsLog(tmp_path)
    resumed.cut(1)
    resumed.write(line(1))
    assert lines.path.read_bytes() == whole


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_not_written(bad: float, tmp_path: Path) -> None:
    lines = MetricsLog(tmp_path)
    lines.write(line(0))
    with pytest.raises(ViubenchError, match=f"step 1: loss is {bad}"):
        lines.write(line(1, loss=bad))
    assert read(tmp_path) == [line(0)]


def test_a_line_is_summed_up_beside_its_floors() -> None:
    one = {
        "step": 3, "loss": 0.25, "reward": 0.5, "order/reward": 0.456, "floor/order": 0.39, "floor/ground": 0.3,
        "validation/ground/reward": 0.7, "validation/ground/strict": 0.1, "validation/order/reward": 0.6,
    }  # fmt: skip
    assert metrics_log.summary(one) == "order 0.46 (constant 0.39)  ground 0.70 (constant 0.30)"
    assert metrics_log.summary({"step": 3, "loss": 0.25}) == "loss 0.250"
    assert metrics_log.validation_scores(one) == {"ground": 0.7, "order": 0.6}
    assert metrics_log.validation_scores(one, "strict") == {"ground": 0.1}
    assert metrics_log.validation_scores(line(1)) == {}
