"""The layout is the architecture: imports point one way, heavy packages stay out of the core, files stay small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("evaluators", "viubench", "reports", "trainer", "task_yamls")
HEAVY = ("torch", "vllm", "transformers", "decord", "lmms_eval", "torchvision")

ALLOWED = {
    "evaluators": {"evaluators"},
    "task_yamls": set(),
    "viubench": {"viubench", "evaluators", "task_yamls"},
    "reports": {"reports", "viubench", "evaluators"},
    "trainer": {"trainer", "viubench", "evaluators"},
}

LEVELS = (
    {"errors", "atomic"},
    {"schema", "video.frames", "fields", "grading", "stats", "differences", "strict_yaml"},
    {"tasks", "runs", "baseline", "results", "floor", "filmstrip", "media_clock"},
    {"compare"},
    {"gate", "flips"},
    {"simulation"},
    {"changes"},
    {"video"},
    {"pretext"},
    {"sources", "engines", "tiny"},
    {"runner"},
    {"gather", "planning", "install", "doctor", "torch_shim", "checkpoints", "child", "history"},
    {"watch"},
    {"export"},
    {"bench"},
    {"cli", "__main__"},
)
"""From the ground up; a module may import its own level (not itself in a circle) and those below."""


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def level(name: str) -> int | None:
    inner = name.removeprefix("viubench.")
    place = "video.frames" if inner.startswith("video.frames") else inner.split(".")[0]
    return next((number for number, names in enumerate(LEVELS) if place in names), None)


@pytest.mark.parametrize("path", sources(), ids=module)
def test_a_file_keeps_the_house_rules(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert not re.search(r"util|helper|misc|common", path.stem)
    package = module(path).split(".")[0]
    ours = {name.split(".")[0] for name in imports(path)} & set(PACKAGES)
    allowed = set(PACKAGES) if module(path).startswith("viubench.cli") else ALLOWED[package]
    assert ours <= allowed
    assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & set(HEAVY)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"
    assert not text or ast.get_docstring(ast.parse(text)), "a module says what it is for"


@pytest.mark.parametrize("path", [p for p in sources() if p.is_relative_to(ROOT / "viubench")], ids=module)
def test_imports_inside_the_harness_point_down(path: Path) -> None:
    own = level(module(path))
    if own is None:
        assert module(path) == "viubench", f"{module(path)} has no place in LEVELS"
        return
    for name in imports(path):
        if name.startswith("viubench.") and (below := level(name)) is not None:
            assert below <= own, f"{module(path)} imports {name}, which stands above it"


def test_the_command_line_starts_without_heavy_packages() -> None:
    unwanted = (*HEAVY, "numpy", "pandas", "pydantic", "cv2", "av")
    code = f"import sys, viubench.cli; print([m for m in sys.modules if m.split('.')[0] in {unwanted}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_other_programs_need_is_exported_and_loaded_late() -> None:
    import viubench

    for name in viubench.__all__:
        assert getattr(viubench, name).__name__ in (name, "get")
    with pytest.raises(AttributeError, match="nonsense"):
        _ = viubench.nonsense
