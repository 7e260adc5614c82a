"""Sets viubench up in a virtual environment: inspects the machine, chooses what fits it, and installs that with uv.

Run from a clone before anything is installed, so it uses the standard library alone.

    python3 viubench/system/install.py --extras dev     create .venv and install into it
    python3 viubench/system/install.py --print          only print what would be done

On Linux with an NVIDIA GPU that is vLLM for GPUs; on Linux without one, vLLM for CPUs with CPU builds of torch at the
versions that `pyproject.toml` pins; elsewhere transformers alone, since vLLM has no build there. Package indexes are
those that pip is configured for. A second run with nothing changed returns at once; exit code 2 when a step fails.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import platform
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHIM = Path(__file__).resolve().with_name("torch_shim.py")
GPUS = ROOT / "viubench/engines/gpus.py"
STAMP = "viubench-install.json"
HEARTBEAT_SECONDS = 10

UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
    "trusted-host": "UV_INSECURE_HOST",
}
"""uv does not read pip's configuration: pip's option -> uv's variable."""

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

Log = Callable[[str], None]


class InstallError(Exception):
    """A step that failed: what it was, the command, and the end of its output."""


@dataclass(frozen=True)
class BuildChoice:
    """The extra of `pyproject.toml` that brings the engines, why, and the disk it takes."""

    extra: str
    why: str
    disk_gb: int


def choose(system: str, arch: str, gpu: str | None) -> BuildChoice:
    """Which engines a machine can run."""
    if system == "Linux" and gpu:
        return BuildChoice("gpu", "vLLM on the GPU", 15)
    if system == "Linux" and arch in ("x86_64", "amd64", "aarch64", "arm64"):
        return BuildChoice("cpu", "vLLM on the CPU", 6)
    return BuildChoice("hf", f"transformers only; vllm is left out: it has no build for {system} {arch}", 4)


def known_extras() -> dict[str, list[str]]:
    """The optional dependencies of `pyproject.toml`; an installer passes over an unknown one with only a warning."""
    import tomllib  # new in Python 3.11

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return dict(project["optional-dependencies"])


def fingerprint(choice: BuildChoice) -> str:
    """Changes when the set-up has to be done again: other requirements, another choice, another installer."""
    digest = hashlib.sha256(choice.extra.encode())
    for path in (ROOT / "pyproject.toml", Path(__file__).resolve(), SHIM):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def installed(venv: Path, key: str) -> set[str]:
    """Extras that an earlier run with the same fingerprint installed; empty when there was none."""
    try:
        stamp = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return set()
    current = stamp.get("fingerprint") == key and (venv / "bin/python").exists()
    return set(stamp.get("extras", [])) if current else set()


def run_step(name: str, command: Sequence[str], log: Log, environment: Mapping[str, str] | None = None) -> str:
    """Run one command with a sign of life every ten seconds; return its output, or raise InstallError with the step,
    the command and the last lines of the output."""
    started = time.monotonic()
    log(f"- {name}")
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            while True:
                try:
                    code = process.wait(HEARTBEAT_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    log(f"    {time.monotonic() - started:.0f} s")
        finally:
            process.kill()
        output.seek(0)
        text = output.read().strip()
    if code != 0:
        last = "\n".join(f"    {line}" for line in text.splitlines()[-20:])
        raise InstallError(f"failed: {name}\n  command: {shlex.join(command)}\n  its last lines:\n{last}")
    log(f"    done in {time.monotonic() - started:.0f} s")
    return text


def create_environment(venv: Path, log: Log) -> str:
    """A virtual environment with pip at `venv`, the one there if it works; returns its python."""
    python = venv / "bin/python"
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and any(venv.iterdir()):
        raise InstallError(f"{venv} exists and is not a virtual environment; give another place with --venv")
    pip_version = [str(python), "-m", "pip", "--version"]  # fails where the base Python was removed
    if not python.exists() or subprocess.run(pip_version, capture_output=True, check=False).returncode:
        run_step(f"create the environment {venv}", [sys.executable, "-m", "venv", "--clear", str(venv)], log)
    return str(python)


def uv_environment(python: str) -> dict[str, str]:
    """Our environment, and in uv's variables what the pip of `python` is configured for; those that are set stay."""
    listed = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    lines = re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", listed, re.MULTILINE)
    lines.sort(key=lambda line: ("global", "install", ":env:").index(line[0]))  # what pip lets win comes last
    options = {name: ast.literal_eval(value) for _, name, value in lines}
    variables = {
        variable: ("," if name == "find-links" else " ").join(options[name].split())
        for name, variable in UV_VARIABLES.items()
        if name in options
    }
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables, **os.environ}  # the best of all indexes, as pip does


def install_packages(python: str, extras: Sequence[str], log: Log) -> None:
    """Install the project with uv, or with pip where uv cannot be had."""
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "-qq"]
    project = ["-e", f"{ROOT}[{','.join(extras)}]"]
    try:
        run_step("install uv", [*pip, "uv>=0.6.9"], log)
    except InstallError as error:
        log(f"{error}\n  pip installs the rest: slower, and torch is whichever build pip finds")
        run_step("install viubench and the rest", [*pip, *project], log)
        return
    uv, environment = [python, "-m", "uv", "pip", "install", "--python", python], uv_environment(python)
    if "cpu" in extras and not offers_cpu_torch(uv, environment):
        uv.append("--torch-backend=cpu")  # from PyTorch's own index
    run_step("install viubench and the rest", [*uv, "--quiet", *project], log, environment)


def offers_cpu_torch(uv: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether the package indexes have a CPU build of the pinned torch: on PyPI, the builds for Linux carry CUDA."""
    pin = next(pin for pin in known_extras()["cpu"] if pin.startswith("torch=="))
    ask = [*uv, "--dry-run", "--no-deps", "--reinstall", pin]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False, env=environment)
    return re.search(r"\+ torch==\S*\+cpu", answer.stdout + answer.stderr) is not None


def write_shim(python: str) -> Path:
    """Put `torch_shim` and the `.pth` that starts it into the site-packages of `python`; returns the `.pth`."""
    query = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip())
    shutil.copyfile(SHIM, packages / "_viubench_torch_shim.py")
    start = packages / "_viubench_torch_shim.pth"
    start.write_text("import _viubench_torch_shim; _viubench_torch_shim.install()\n")
    return start


def mend_torch_companions(python: str, log: Log) -> None:
    """Import what is built against torch; write the shim where that needs a CUDA which torch lacks."""
    name, command = "check that torchvision, torchaudio and torchcodec fit torch", [python, "-c", CHECK_TORCH]
    try:
        run_step(name, command, log)
    except InstallError as error:
        if not re.search("torchvision::nms|Could not load this library", str(error)):
            raise
        log("    no: there are CUDA builds beside a CPU torch, their compiled parts cannot load")
        log(f"    wrote {write_shim(python)}, which lets them be imported without those parts")
        run_step(name, command, log)


def describe(venv: Path, choice: BuildChoice, gpu: str, extras: Sequence[str], log: Log) -> None:
    """Print the machine and what was chosen for it."""
    disk = next(place for place in (venv, *venv.parents) if place.exists())
    free_gb = shutil.disk_usage(disk).free / 1e9
    log(
        f"found   Python {platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, {free_gb:.0f} GB of disk free"
    )
    log(f"found   {gpu}")
    log(f"chose   {choice.why}: viubench[{','.join(extras)}]")
    if free_gb < choice.disk_gb:
        log(f"warning a new environment takes about {choice.disk_gb} GB, more than is free")


def install(venv: Path, requested: Sequence[str], only_print: bool, again: bool, log: Log) -> None:
    """Do the whole set-up; with `again` even where an earlier run left nothing to do. InstallError: a step failed."""
    if sys.version_info < (3, 11):  # noqa: UP036 -- an older Python may well be what runs this file
        raise InstallError(f"viubench needs Python 3.11 or newer; {sys.executable} is {platform.python_version()}")
    known = known_extras()
    if unknown := sorted(set(requested) - set(known)):
        raise InstallError(f"pyproject.toml has no extra {', '.join(unknown)}; it has {', '.join(known)}")
    gpu, source = runpy.run_path(str(GPUS))["usable_gpus"]()
    choice = choose(platform.system(), platform.machine().lower(), gpu)
    extras = [choice.extra, *sorted(set(requested) - {choice.extra})]
    describe(venv, choice, f"{gpu or 'no NVIDIA GPU'} ({source})", extras, log)
    if only_print:
        backend = " [--torch-backend=cpu]" * (choice.extra == "cpu")
        log(f"would   create {venv} and run: uv pip install{backend} -e {ROOT}[{','.join(extras)}]")
        return
    key = fingerprint(choice)
    before = installed(venv, key)
    if set(extras) <= before and not again:
        log(f"nothing to do: {venv} is up to date")
        return
    started = time.monotonic()
    python = create_environment(venv, log)
    install_packages(python, extras, log)
    mend_torch_companions(python, log)
    (venv / STAMP).write_text(json.dumps({"fingerprint": key, "extras": sorted(before | set(extras))}) + "\n")
    log(f"ready   {venv} in {time.monotonic() - started:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Set viubench up in a virtual environment.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where (default: .venv in the clone)")
    parser.add_argument("--extras", default="", help="further extras of pyproject.toml: dev,lmms,train")
    parser.add_argument("--print", dest="only_print", action="store_true", help="print what would be done, do nothing")
    parser.add_argument("--again", action="store_true", help="install even where nothing has changed")
    options = parser.parse_args(arguments)
    requested = [extra.strip() for extra in options.extras.split(",") if extra.strip()]
    try:
        install(options.venv.absolute(), requested, options.only_print, options.again, partial(print, flush=True))
    except InstallError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
