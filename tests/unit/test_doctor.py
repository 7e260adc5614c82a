"""The doctor sees what is there, what is missing, and what stands in the place of ours."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import viubench
from viubench.system import doctor
from viubench.system.doctor import Check, checks

HOME = Path(viubench.__file__).resolve().parent.parent


def named(found: list[Check], name: str) -> Check:
    return next(check for check in found if check.name == name)


def package(folder: Path, name: str, version: str = "1.0", *, distribution: str | None = None, text: str = "") -> Path:
    """A package `name` in `folder`, and, if asked, the metadata of a distribution that owns it."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    if distribution:
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "top_level.txt").write_text(f"{name}\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    return folder / name


def test_this_environment(tmp_path: Path) -> None:
    found = checks(tmp_path / "not" / "yet")
    for name in ("python", "viubench", "evaluators", "reports", "trainer", "task_yamls", "pyav", "encoders"):
        assert named(found, name).ok is True, name
    assert len({check.name for check in found}) == len(found)
    assert all(check.hint for check in found if check.ok is False)
    assert viubench.__version__ in named(found, "viubench").detail


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from pathlib import Path; from viubench.system.doctor import checks; checks(Path('/'));"
        "print({'torch', 'torchvision', 'vllm', 'transformers', 'decord', 'lmms_eval'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HOME)
    assert shown.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("distribution", "expected", "hint"),
    [
        ("coqui-trainer", "the distribution coqui-trainer", "pip uninstall coqui-trainer"),
        (None, "no installed distribution", "PYTHONPATH"),
    ],
)
def test_another_trainer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distribution: str | None, expected: str, hint: str
) -> None:
    folder = package(tmp_path, "trainer", distribution=distribution)
    monkeypatch.delitem(sys.modules, "trainer", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    check = doctor.check_sibling("trainer", HOME)
    assert check.ok is False
    assert expected in check.detail
    assert str(folder) in check.detail
    assert hint in check.hint


def test_a_missing_package_is_said() -> None:
    assert doctor.check_sibling("no_such_package_here", HOME) == Check(
        "no_such_package_here", False, "not found", "install viubench again: pip install -e ."
    )


@pytest.mark.parametrize(
    ("text", "build"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n", "cpu"),
        ("__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\n", "13.0"),
        ("__version__ = '0.28.0+cu130'\nif _check_cuda_version() > 0:\n    cuda = _check_cuda_version()\n", "130"),
        ("__version__ = '0.28.0+cpu'\n", "cpu"),
    ],
)
def test_builds_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, build: str) -> None:
    (package(tmp_path, "some_torch") / "version.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert doctor.built_for("some_torch") == build
    assert doctor.built_for("no_such_package_here") is None


@pytest.mark.parametrize(("hooked", "ok"), [(True, True), (False, False)])
def test_a_cuda_torchvision_beside_a_cpu_torch_needs_the_shim(
    monkeypatch: pytest.MonkeyPatch, hooked: bool, ok: bool
) -> None:
    from viubench.system.torch_shim import ShimFinder

    monkeypatch.setattr(doctor, "version_of", lambda *names: "torchvision 0.28.0")
    monkeypatch.setattr(doctor, "built_for", lambda name: "130")
    others = [finder for finder in sys.meta_path if type(finder).__name__ != "ShimFinder"]
    monkeypatch.setattr(sys, "meta_path", [ShimFinder(), *others] if hooked else others)
    check = doctor.check_torchvision("cpu")
    assert check.ok is ok
    assert bool(check.hint) is not ok
    assert doctor.check_torchvision("13.0").ok is True


def test_a_cpu_torch_beside_a_gpu_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda *names: f"{names[0]} 2.13.0")
    monkeypatch.setattr(doctor, "built_for", lambda name: "cpu")
    monkeypatch.setattr(doctor, "usable_gpus", lambda: ("1 x NVIDIA L4", "seen"))
    assert named(doctor.check_torch(), "torch").ok is False
    monkeypatch.setattr(doctor, "usable_gpus", lambda: (None, "none"))
    assert named(doctor.check_torch(), "torch").ok is True


def test_what_is_optional_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda *names: None)
    found = [*doctor.check_torch(), *doctor.check_engines()]
    assert {check.name for check in found} == {"torch", "transformers", "vllm", "ray", "lmms-eval"}
    assert all(check.ok is None and check.hint for check in found)
    assert doctor.check_training().ok is None


def test_the_trainer_is_checked_against_what_is_declared() -> None:
    extra = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]["optional-dependencies"]["train"]
    declared = dict(re.findall(r"([a-z]+)>=([\d.]+(?:,<[\d.]+)?)", " ".join(extra)))
    for name, (oldest, untested) in doctor.TRAINING.items():
        below = f",<{untested[0]}.{untested[1]}" if untested else ""
        assert declared[name] == f"{oldest[0]}.{oldest[1]}{below}"


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("trl", "1.17.0", "trl 1.17.0, tested with trl>=1.16,<1.17"),
        ("transformers", "4.57.1", "transformers 4.57.1, tested with transformers>=5.10,<5.24"),
        ("peft", None, "peft is not installed"),
        ("accelerate", "1.9", "accelerate 1.9, tested with accelerate>=1.15"),
        ("accelerate", "2.0", ""),
    ],
)
def test_a_trainer_of_other_versions_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, name: str, version: str | None, said: str
) -> None:
    good = {"trl": "1.16.3", "transformers": "5.19.0", "accelerate": "1.15.0", "peft": "0.18"} | {name: version}
    monkeypatch.setattr(doctor, "version_of", lambda name: good[name] and f"{name} {good[name]}")
    check = doctor.check_training()
    assert (check.ok, bool(check.hint)) == (not said, bool(said))
    assert check.detail == (said or "trl 1.16.3, transformers 5.19.0, accelerate 2.0, peft 0.18")


@pytest.mark.parametrize(("version", "ok"), [("4.56.2", False), ("4.57.0", True), ("5.19.0", True), ("3.99", False)])
def test_transformers_must_know_qwen3_vl(monkeypatch: pytest.MonkeyPatch, version: str, ok: bool) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    check = named(doctor.check_engines(), "transformers")
    assert check.ok is ok
    assert bool(check.hint) is not ok


def test_no_encoder_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "has_encoder", lambda name: False)
    assert named(doctor.check_readers(), "encoders").ok is False


def test_a_full_disk_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_disk(tmp_path / "a" / "b").ok is (doctor.shutil.disk_usage(tmp_path).free > 2e9)
    monkeypatch.setattr(doctor, "CACHE_GB", 1e12)
    assert doctor.check_disk(tmp_path).ok is False


def test_thorough_really_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "good_one")
    package(tmp_path, "bad_one", text="raise RuntimeError('operator x does not exist')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert doctor.check_import("good_one").ok is True
    bad = doctor.check_import("bad_one")
    assert bad.ok is False
    assert "operator x does not exist" in bad.detail


def test_what_is_missing_is_installed_as_the_rest_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.set_up("train") == "python3 viubench/system/install.py --again --extras train"
    monkeypatch.setattr(doctor, "CHECKOUT", False)
    assert doctor.set_up("train") == 'pip install "viubench[train]"'
    assert doctor.set_up() in ('pip install "viubench[cpu]"', 'pip install "viubench[gpu]"')
