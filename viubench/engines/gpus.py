"""The NVIDIA GPUs of this machine as their driver lists them, and what torch was built for; torch is not imported.

Example:
    >>> find_gpu(smi=None) is None
    True
"""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SMI = shutil.which("nvidia-smi")


@dataclass(frozen=True)
class Gpu:
    """One GPU: bytes in all and free."""

    name: str
    total: int
    free: int


def visible_gpus(smi: str | None = SMI) -> list[str]:
    """The GPUs this process may use: those that CUDA_VISIBLE_DEVICES names, else the numbers of all."""
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in given.split(",") if name.strip() and name.strip() != "-1"]
    return _query(smi, "index")


def find_gpu(smi: str | None = SMI) -> Gpu | None:
    """The first GPU this process may use; None where there is none."""
    with suppress(ValueError, IndexError):
        name, total, free = _query(smi, "name,memory.total,memory.free", visible_gpus(smi)[0])[0].rsplit(",", 2)
        return Gpu(name.strip(), int(total) * 2**20, int(free) * 2**20)
    return None


def usable_gpus(
    smi: str | None = SMI,
    driver: Path = Path("/proc/driver/nvidia/gpus"),
    libcuda: str | None = ctypes.util.find_library("cuda"),
) -> tuple[str | None, str]:
    """(what the usable GPUs of the machine are, or None; one line on how that is known); the standard library alone."""
    if lines := _query(smi, "name,memory.total,driver_version"):
        name, megabytes, version = lines[0].rsplit(", ", 2)
        return f"{len(lines)} x {name}, {megabytes} MiB, driver {version}", "nvidia-smi lists it"
    models = [path.read_text(errors="replace") for path in sorted(driver.glob("*/information"))]
    names = [match.group(1).strip() for text in models if (match := re.search(r"Model:(.*)", text))]
    if names and libcuda:
        return f"{len(names)} x {names[0]}", "the driver lists it, libcuda is there"
    if names:
        return None, f"the driver lists {names[0]}, but libcuda is missing: was the container started without GPUs?"
    return None, "nvidia-smi lists none" if smi else "no nvidia-smi, nothing in /proc/driver/nvidia"


def _query(smi: str | None, fields: str, *gpus: str) -> list[str]:
    """A line for each GPU, or for each of `gpus`; none where nvidia-smi is not there or fails."""
    if smi is None:
        return []
    command = [smi, f"--query-gpu={fields}", "--format=csv,noheader,nounits", *[f"--id={gpu}" for gpu in gpus]]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []


def built_for(package: str) -> str | None:
    """ "13.0" for a CUDA build of torch or torchvision, "cpu" for another, None when it is not installed."""
    if (folder := folder_of(package)) is None:
        return None
    file = folder / "version.py"
    text = file.read_text() if file.exists() else ""
    named = re.search(r"^cuda\s*(?::[^=]*)?=\s*['\"]([\d.]+)", text, re.M) or re.search(r"\+cu(\d+)", text)
    return named.group(1) if named else "cpu"


def folder_of(package: str) -> Path | None:
    """Folder a package would be imported from, without importing it."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]).resolve() if places else None
