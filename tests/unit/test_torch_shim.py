"""The import shim: look-alikes of torch and its companions in a bare environment, then the real ones of this one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from viubench.system import install

FAKES = {
    "torchcodec/__init__.py": "import torch; torch.ops.load_library('libtorchcodec_image.so')",
    "torch/__init__.py": "from . import ops, library",
    "torch/library.py": """
class Library:
    def __init__(self, *_): pass
    def define(self, schema):
        from . import ops
        setattr(ops.torchvision, schema.split("(")[0], schema)
""",
    "torch/ops.py": """
import os, types
torchvision = types.SimpleNamespace()
def load_library(path):
    if not os.environ.get("LOADS"): raise OSError("Could not load this library: " + str(path))
    if "vision" in str(path): torchvision.nms = "compiled"
""",
    "torchvision/__init__.py": """
import torch
from . import extension
if not hasattr(torch.ops.torchvision, "nms"): raise RuntimeError("operator torchvision::nms does not exist")
""",
    "torchvision/extension.py": """
import pathlib, torch
try: torch.ops.load_library(pathlib.Path(__file__).with_name("_C.so"))
except OSError: pass
""",
    "torchvision/_C.so": "",
    "torchaudio/__init__.py": "from . import _extension",
    "torchaudio/_extension/__init__.py": "from .utils import _load_lib\nloaded = _load_lib('_torchaudio')",
    "torchaudio/_extension/utils.py": """
import torch
def _load_lib(lib):
    torch.ops.load_library(lib)
    return True
""",
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with look-alikes of torch and what is built against it; returns its python."""
    place = tmp_path_factory.mktemp("bare")
    venv.create(place / "venv")
    python = place / "venv" / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import sysconfig as s; print(s.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name, text in FAKES.items():
        path = Path(where.stdout.strip()) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return python


def ask(python: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, env=environment)


def test_the_shim_mends_cuda_builds_and_leaves_others_alone(bare: Path) -> None:
    both = "import torchvision, torch, torchaudio; print(torch.ops.torchvision.nms, torchaudio._extension.loaded)"
    assert "torchvision::nms does not exist" in ask(bare, both).stderr
    assert "OSError" in ask(bare, "import torchaudio").stderr
    assert "OSError" in ask(bare, "import torchcodec").stderr
    assert ask(bare, both, LOADS="1").stdout.split() == ["compiled", "True"]
    lines: list[str] = []
    install.mend_torch_companions(str(bare), lines.append)
    assert any("_viubench_torch_shim.pth" in line for line in lines)
    mended = ask(bare, both)
    assert mended.stdout.startswith("nms(Tensor dets"), mended.stderr
    assert mended.stdout.strip().endswith("False")
    assert "ImportError: torchcodec: Could not load" in ask(bare, "import torchcodec").stderr
    assert ask(bare, both, LOADS="1").stdout.split() == ["compiled", "True"]
    assert ask(bare, "import torchcodec", LOADS="1").returncode == 0


def test_the_shim_costs_nothing_until_torchvision_is_imported(bare: Path) -> None:
    assert install.write_shim(str(bare)).exists()
    code = (
        "import sys; first = set(sys.modules); assert type(sys.meta_path[0]).__name__ == 'ShimFinder';"
        "import importlib.util; assert importlib.util.find_spec('torchvision');"
        "print(sorted({'torch', 'torchvision', 'typing', 'glob'} & set(sys.modules)), '_viubench_torch_shim' in first)"
    )
    assert ask(bare, code).stdout.strip() == "[] True"


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed")
def test_the_real_torchvision_imports_here() -> None:
    """In this environment, with the shim and without any `.pth` file: the real packages, in a process of their own."""
    code = (
        f"import sys; sys.path[:0] = {[entry for entry in sys.path if entry]!r}\n"
        f"sys.path.insert(0, {str(install.ROOT)!r})\n"
        "from viubench.system import torch_shim; torch_shim.install(); assert 'torch' not in sys.modules\n"
        "import torch, torchvision.transforms.v2.functional as F\n"
        "assert hasattr(torch.ops.torchvision, 'nms')\n"
        "print(tuple(F.resize(torch.zeros(3, 8, 8, dtype=torch.uint8), [4, 4]).shape))"
    )
    shown = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert shown.stdout.strip() == "(3, 4, 4)", shown.stderr[-2000:]
