"""Sets viubench up in a virtual environment: looks at the machine, says what it found and chose, and installs that.

Needs nothing but Python: it is run from a clone before anything is installed, so only the standard library is used.

    python3 viubench/system/install.py --extras dev     make .venv and install into it
    python3 viubench/system/install.py --print          only say what would be done

Chosen by looking: on Linux with an NVIDIA GPU vLLM for GPUs; on Linux without one vLLM for CPUs, with CPU builds of
torch at the versions `pyproject.toml` pins; elsewhere transformers alone, since vLLM has no build there.
A second run with nothing changed returns at once; exit code 2 where a step fails.
"""

from __future__ import annotations

import argparse
import ctypes.util
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHIM = Path(__file__).resolve().with_name("torch_shim.py")
STAMP = "viubench-install.json"
HEARTBEAT_SECONDS = 10

CHECK_TORCH = """
import importlib, importlib.util, torch
for name in ("torchvision", "torchaudio", "torchcodec"):
    if importlib.util.find_spec(name):
        try:
            importlib.import_module(name)
        except (ImportError, RuntimeError):
            if name != "torchcodec":  # without FFmpeg it cannot be imported, and is not needed
                raise
"""


class InstallError(Exception):
    """A step that failed: what it was, the command, and the end of its output."""


@dataclass(frozen=True)
class Machine:
    """What was found. `gpu` describes the usable NVIDIA GPUs, None without; `gpu_note` says where was looked."""

    system: str
    arch: str
    python: str
    cores: int
    free_gb: float
    gpu: str | None
    gpu_note: str


@dataclass(frozen=True)
class Choice:
    """The extra of `pyproject.toml` that brings the engines, why, and the disk it takes."""

    extra: str
    why: str
    disk_gb: int


@dataclass(frozen=True)
class Step:
    """One command of the set-up, and what it is for."""

    name: str
    command: list[str]


# --- looking ------------------------------------------------------------------------------------------------------


def find_gpu(
    smi: str | None = shutil.which("nvidia-smi"),
    driver: Path = Path("/proc/driver/nvidia/gpus"),
    libcuda: str | None = ctypes.util.find_library("cuda"),
) -> tuple[str | None, str]:
    """(what the usable NVIDIA GPUs are, or None; one line on how that is known)."""
    names: list[str] = []
    if smi:
        asked = subprocess.run(
            [smi, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        names = [line.strip() for line in asked.stdout.splitlines() if line.strip()] if asked.returncode == 0 else []
        if names:
            return (f"{len(names)} x {names[0]}", "nvidia-smi lists it")
    models = [path.read_text(errors="replace") for path in sorted(driver.glob("*/information"))]
    names = [match.group(1).strip() for text in models if (match := re.search(r"Model:(.*)", text))]
    if names and libcuda:
        return (f"{len(names)} x {names[0]}", "the driver lists it, libcuda is there")
    if names:
        return (None, f"the driver lists {names[0]}, but libcuda is missing: was the container started without GPUs?")
    return (None, "nvidia-smi lists none" if smi else "no nvidia-smi, nothing in /proc/driver/nvidia")


def look(near: Path) -> Machine:
    """The machine this runs on; free disk is that of the file system `near` is, or will be, on."""
    while not near.exists():
        near = near.parent
    gpu, note = find_gpu()
    return Machine(
        system=platform.system(),
        arch=platform.machine().lower(),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        free_gb=shutil.disk_usage(near).free / 1e9,
        gpu=gpu,
        gpu_note=note,
    )


def choose(machine: Machine) -> Choice:
    """Which engines this machine can run."""
    if machine.system == "Linux" and machine.gpu:
        return Choice("gpu", "vLLM on the GPU", 15)
    if machine.system == "Linux" and machine.arch in ("x86_64", "amd64", "aarch64", "arm64"):
        return Choice("cpu", "vLLM on the CPU", 6)
    system = "macOS" if machine.system == "Darwin" else machine.system
    return Choice("hf", f"transformers only; vllm is left out: it has no build for {system} {machine.arch}", 4)


def torch_pins(pyproject: str) -> list[str]:
    """The requirements `torch==X`, `torchvision==Y`, ... of the `cpu` extra, their single source."""
    pins: list[str] = re.findall(r'"(torch\w*==[^"\s;]+)"', pyproject)
    if not any(pin.startswith("torch==") for pin in pins):
        raise InstallError('pyproject.toml pins no "torch==..." in its extra `cpu`')
    return pins


def known_extras(pyproject: str) -> list[str]:
    """Names of the optional dependencies; pip would pass over an unknown one with no more than a warning."""
    section = re.search(r"^\[project\.optional-dependencies\]$(.*?)(?=^\[|\Z)", pyproject, re.M | re.S)
    return re.findall(r"^([\w-]+)\s*=", section.group(1), re.M) if section else []


def offered_cpu_torch(report: dict[str, Any]) -> str | None:
    """The torch version in pip's installation report when it is a CPU build, else None.

    The builds on PyPI for Linux carry CUDA and no mark; CPU builds are marked `+cpu` in their version or file name.
    """
    for entry in report.get("install", []):
        metadata = entry.get("metadata", {})
        url = entry.get("download_info", {}).get("url", "").replace("%2B", "+").replace("%2b", "+")
        if metadata.get("name") == "torch" and ("+cpu" in metadata["version"] or "+cpu" in url.rsplit("/", 1)[-1]):
            return str(metadata["version"])
    return None


def ask_pip(python: str, pin: str) -> str | None:
    """Ask the pip of `python` what it would install for `pin`; the version when that is a CPU build of torch."""
    command = [*pip(python), "--dry-run", "--no-deps", "--ignore-installed", "--report", "-", pin]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return offered_cpu_torch(json.loads(asked.stdout)) if asked.returncode == 0 else None


# --- deciding -----------------------------------------------------------------------------------------------------


def pip(python: str) -> list[str]:
    return [python, "-m", "pip", "install", "--disable-pip-version-check", "-qq"]


def torch_steps(python: str, pins: list[str], offered: str | None) -> list[Step]:
    """How CPU builds of `pins` get in: by pip where it offers them, else from PyTorch's CPU wheels, through uv."""
    if offered:
        return [Step(f"install torch {offered}", [*pip(python), *pins])]
    uv = [python, "-m", "uv", "pip", "install", "-q", "--python", python, "--torch-backend=cpu"]
    return [
        Step("install uv, which knows where PyTorch keeps its CPU builds", [*pip(python), "uv>=0.6.9"]),
        Step("install CPU builds of torch", [*uv, *pins]),
    ]


def project_step(python: str, extras: Sequence[str]) -> Step:
    return Step("install viubench and the rest", [*pip(python), "-e", f"{ROOT}[{','.join(extras)}]"])


def fingerprint(root: Path, choice: Choice) -> str:
    """Changes when the set-up has to be done again: other requirements, another choice, another installer."""
    digest = hashlib.sha256(choice.extra.encode())
    for path in (root / "pyproject.toml", Path(__file__).resolve(), SHIM):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def done_before(venv: Path, key: str) -> set[str]:
    """Extras that an earlier run with the same fingerprint installed; empty when there was none."""
    try:
        stamp = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return set()
    current = stamp.get("fingerprint") == key and environment_python(venv).exists()
    return set(stamp.get("extras", [])) if current else set()


# --- doing --------------------------------------------------------------------------------------------------------


def environment_python(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run_step(step: Step, say: Callable[[str], None]) -> str:
    """Run one step with a sign of life every ten seconds; return its output.

    Raises:
        InstallError: the command failed; holds the step, the command and the last lines of its output.
    """
    started = time.monotonic()
    say(f"- {step.name}")
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(step.command, stdout=output, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    code = process.wait(HEARTBEAT_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    say(f"    {time.monotonic() - started:.0f} s")
        finally:
            process.kill()
        output.seek(0)
        text = output.read().strip()
    if code != 0:
        last = "\n".join(f"    {line}" for line in text.splitlines()[-20:])
        raise InstallError(f"failed: {step.name}\n  command: {shlex.join(step.command)}\n  its last lines:\n{last}")
    say(f"    done in {time.monotonic() - started:.0f} s")
    return text


def works(python: str) -> bool:
    """Whether `python` starts and has pip; an environment whose base Python was removed has neither."""
    try:
        return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_environment(venv: Path, say: Callable[[str], None]) -> str:
    """A virtual environment at `venv` with a pip that can look without downloading; returns its python."""
    python = str(environment_python(venv))
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and any(venv.iterdir()):
        raise InstallError(f"{venv} exists and is not a virtual environment; give another place with --venv")
    works = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0 \
        if Path(python).exists() else False  # fmt: skip
    if not works:
        run_step(Step(f"make the environment {venv}", [sys.executable, "-m", "venv", "--clear", str(venv)]), say)
    # Older ones download a whole CUDA build of torch to answer what they would install.
    run_step(Step("bring pip up to date", [*pip(python), "pip>=23.3"]), say)
    return python


def write_shim(python: str) -> Path:
    """Put `torch_shim` and the `.pth` that starts it into the site-packages of `python`; returns the `.pth`."""
    asked = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    packages = Path(asked.stdout.strip())
    shutil.copyfile(SHIM, packages / "_viubench_torch_shim.py")
    start = packages / "_viubench_torch_shim.pth"
    start.write_text("import _viubench_torch_shim; _viubench_torch_shim.install()\n")
    return start


def mend_torch_companions(python: str, say: Callable[[str], None]) -> None:
    """Import what is built against torch; write the shim where that needs a CUDA which torch lacks."""
    check = Step("check that torchvision, torchaudio and torchcodec fit torch", [python, "-c", CHECK_TORCH])
    try:
        run_step(check, say)
    except InstallError as failed:
        known = "torchvision::nms" in str(failed) or "Could not load this library" in str(failed)
        if not known:
            raise
        say("    no: there are CUDA builds beside a CPU torch, their compiled parts cannot load")
        say(f"    wrote {write_shim(python)}, which lets them be imported without those parts")
        run_step(check, say)


def plan(python: str, choice: Choice, extras: Sequence[str], say: Callable[[str], None]) -> list[Step]:
    """The steps after the environment is there."""
    steps = []
    if choice.extra == "cpu":
        pins = torch_pins((ROOT / "pyproject.toml").read_text())
        offered = ask_pip(python, pins[0])
        if offered:
            say(f"found   pip here offers torch {offered}, a CPU build: taken plainly, pinned")
        else:
            say("found   pip here offers no CPU build of torch: taken from PyTorch's CPU wheels through uv, pinned")
        steps = torch_steps(python, pins, offered)
    return [*steps, project_step(python, extras)]


def describe(machine: Machine, choice: Choice, extras: Sequence[str], say: Callable[[str], None]) -> None:
    """Say what was found and what was chosen."""
    say(
        f"found   Python {machine.python} on {machine.system} {machine.arch}, {machine.cores} cores, "
        f"{machine.free_gb:.0f} GB of disk free"
    )
    say(f"found   {machine.gpu or 'no NVIDIA GPU'} ({machine.gpu_note})")
    say(f"chose   {choice.why}: viubench[{','.join(extras)}]")
    if machine.free_gb < choice.disk_gb:
        say(f"warning a new environment takes about {choice.disk_gb} GB, more than is free")


def install(venv: Path, wanted: Sequence[str], only_print: bool, again: bool, say: Callable[[str], None]) -> None:
    """Do the whole set-up; with `again` even where an earlier run left nothing to do.

    Raises:
        InstallError: a step failed.
    """
    if sys.version_info < (3, 10):  # noqa: UP036 -- an older Python may well be what runs this file
        raise InstallError(f"viubench needs Python 3.10 or newer; {sys.executable} is {platform.python_version()}")
    known = known_extras((ROOT / "pyproject.toml").read_text())
    if unknown := sorted(set(wanted) - set(known)):
        raise InstallError(f"pyproject.toml has no extra {', '.join(unknown)}; it has {', '.join(known)}")
    machine = look(venv)
    choice = choose(machine)
    extras = [choice.extra, *sorted(set(wanted) - {choice.extra})]
    describe(machine, choice, extras, say)
    if only_print:
        present = environment_python(venv)
        for step in plan(str(present) if present.exists() else sys.executable, choice, extras, say):
            say(f"would   {step.name}: {shlex.join(step.command)}")
        return
    key = fingerprint(ROOT, choice)
    before = done_before(venv, key)
    if set(extras) <= before and not again:
        say(f"nothing to do: {venv} is up to date")
        return
    started = time.monotonic()
    python = make_environment(venv, say)
    for step in plan(python, choice, extras, say):
        output = run_step(step, say)
        if output:
            say("    " + output.replace("\n", "\n    "))
    mend_torch_companions(python, say)
    (venv / STAMP).write_text(json.dumps({"fingerprint": key, "extras": sorted(before | set(extras))}) + "\n")
    say(f"ready   {venv} in {time.monotonic() - started:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Set viubench up in a virtual environment.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where (default: .venv in the clone)")
    parser.add_argument("--extras", default="", help="further extras of pyproject.toml: dev,lmms,train")
    parser.add_argument("--print", dest="only_print", action="store_true", help="say what would be done, do nothing")
    parser.add_argument("--again", action="store_true", help="install even where nothing has changed")
    options = parser.parse_args(arguments)
    wanted = [extra.strip() for extra in options.extras.split(",") if extra.strip()]

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        install(options.venv.absolute(), wanted, options.only_print, options.again, say)
    except InstallError as failed:
        print(failed, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
