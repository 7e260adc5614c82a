"""The script for a GPU, without one: parts that fail or hang cost no other, and the tiny shape takes the same way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gpu import __main__ as script
from tests.gpu.parts import Part, planned


def part(name: str, body: str, seconds: float = 30, needs: tuple[str, ...] = ()) -> Part:
    return Part(name, ("gpu_parts", body), {"seconds": 60.0}, seconds, needs)


def running(pid: str) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpu_parts.py").write_text(
        "import os, subprocess, sys, time\n"
        "def fails(seconds): import no_such_package\n"
        "def hangs(seconds):\n"
        "    child = subprocess.Popen([sys.executable, '-c', f'import time; time.sleep({seconds})'])\n"
        "    open(os.path.join(os.path.dirname(__file__), 'child'), 'w').write(str(child.pid))\n"
        "    time.sleep(seconds)\n"
        "def works(seconds): return {'speed': 1.25, 'formats': ['float32'], 'trained': 1234}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("bodies")
def test_a_part_that_fails_or_hangs_is_named_and_loses_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [
        part("grpo bad", "fails"), part("hf slow", "hangs", seconds=6), part("grpo good", "works"),
        part("hf after", "works", needs=("hf slow",)),
    ]  # fmt: skip
    monkeypatch.setattr(script, "planned", lambda *_: parts)
    monkeypatch.setattr("sys.argv", ["run.sh", str(tmp_path / "out"), "--device", "cpu", "--shape", "tiny"])
    assert script.main() == 1
    rows = json.loads((tmp_path / "out" / "results.json").read_bytes())["parts"]
    assert [row["outcome"] for row in rows] == [
        "failed: ModuleNotFoundError: No module named 'no_such_package'", "stopped after 6 s", "done",
        "not run, without 'hf slow'",
    ]  # fmt: skip
    assert rows[2]["found"] == {"speed": 1.25, "formats": ["float32"], "trained": 1234}
    assert "trained  1,234" in capsys.readouterr().out
    assert not running((tmp_path / "child").read_text()), "what a part had started goes with it"


@pytest.mark.usefixtures("bodies")
def test_no_part_begins_when_the_time_is_up(tmp_path: Path) -> None:
    assert script.run(part("late", "works"), [], tmp_path, tmp_path, left=3)["outcome"] == "not run, no time was left"


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = script.missing()
    monkeypatch.setattr(script, "EXTRAS", (*script.EXTRAS, "no-such-package"))
    assert script.missing() == [*before, "no-such-package"]


def test_plug_ins_are_found_where_viubench_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = script.metadata.entry_points
    monkeypatch.setattr(script.metadata, "entry_points", lambda **_: ())
    script.register(tmp_path)
    monkeypatch.setattr(script.metadata, "entry_points", real)
    (found,) = script.metadata.distributions(path=[str(tmp_path)])
    assert {"hf", "vllm"} <= {point.name for point in found.entry_points if point.group == "viubench.engines"}


def test_large_and_tiny_shapes_measure_the_same(tmp_path: Path) -> None:
    large, tiny = ({one.function for one in planned(shape, "cpu", tmp_path)} for shape in ("large", "tiny"))
    assert large == tiny


def test_the_embedding_grows_and_the_tokenizer_does_not(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.gpu import material, training
    from trainer.model.policy import Policy

    material.checkpoint(str(tmp_path / "tiny"), "tiny", "cpu")
    policy = Policy.open(tmp_path / "tiny")
    assert policy.base.get_input_embeddings().weight.shape[0] == 2048 > len(policy.processor.tokenizer)
    before = training.watched(policy.base)
    assert training.moved(policy.base, before) == {"changed %": 0, "in bfloat16 %": 0}
    for parameter in policy.base.parameters():
        parameter.data += 1e-6
    assert training.moved(policy.base, before)["changed %"] > 80
    assert training.moved(policy.base, before)["in bfloat16 %"] < 20


@pytest.mark.parametrize(("shape", "parameters"), [("2b", 2.13e9), ("8b", 8.77e9)])
def test_shapes_have_the_parameters_of_the_published_models(shape: str, parameters: float, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.gpu import material

    model = material.without_weights(tmp_path / shape, shape)
    model.tie_weights()
    assert sum(one.numel() for one in model.parameters()) == pytest.approx(parameters, rel=0.01)
