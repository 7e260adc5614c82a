"""The log of a run: JSON lines and event files say the same, before and after a kill."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from trainer.checkpoints import metrics_log
from trainer.checkpoints.metrics_log import MetricsLog, read
from viubench.errors import ViubenchError

torch = pytest.importorskip("torch")


def line(step: int, **more: object) -> dict[str, object]:
    return {"step": step, "reward": step / 10, "order/reward": 0.5, **more}


def points(folder: Path, key: str) -> list[tuple[int, float]]:
    """Every point of every event file, as it lies there: nothing is left out as a viewer would."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = []
    for path in sorted((folder / metrics_log.EVENTS).iterdir()):
        for event in EventFileLoader(str(path)).Load():
            found += [(event.step, round(v.tensor.float_val[0], 4)) for v in event.summary.value if v.tag == key]
    return found


def test_event_files_hold_the_lines_and_a_resumed_run_has_no_point_twice(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    first = MetricsLog(tmp_path)
    for step in range(5):
        first.write(line(step, **({"alarm/order": "collapsed"} if step == 4 else {})))
    assert points(tmp_path, "reward") == [(step, step / 10) for step in range(5)]  # there without being closed
    resumed = MetricsLog(tmp_path)
    resumed.cut(3)
    for step in range(3, 6):
        resumed.write(line(step, extra=True))
    resumed.close()
    resumed.close()
    assert points(tmp_path, "reward") == [(step, step / 10) for step in range(6)]
    assert points(tmp_path, "extra") == [(step, 1.0) for step in range(3, 6)]
    assert Counter(one["step"] for one in read(tmp_path)) == Counter(range(6))


def test_a_log_without_tensorboard_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    said: list[str] = []
    lines = MetricsLog(tmp_path, said.append)
    lines.write(line(0))
    lines.write(line(1))
    lines.close()
    assert len(said) == 1
    assert "pip install tensorboard" in said[0]
    assert read(tmp_path) == [line(0), line(1)]


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
