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
HEAVY = ("torch", "vllm", "transformers", "decord", "lmms_eval", "torchvision", "ray", "trl")
LATE = (
    "trainer.grpo", "trainer.sft", "trainer.stage", "trainer.trl_imports", "trainer.checks", "trainer.model.forward",
    "trainer.model.packing", "trainer.model.policy", "trainer.rollouts.vllm",
)  # fmt: skip
"""What computes with tensors, or extends the libraries' trainers; imported where a training begins."""


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


@pytest.mark.parametrize("path", sources(), ids=module)
def test_a_file_keeps_the_house_rules(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert not re.search(r"util|helper|misc|common", path.stem)
    assert not {name.split(".")[0] for name in imports(path, top_level_only=True)} & set(HEAVY) or module(path) in LATE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"
    assert not text or ast.get_docstring(ast.parse(text)), "a module says what it is for"


def test_imports_go_one_way() -> None:
    """The contracts of pyproject.toml."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_nothing_is_loose_in_the_harness() -> None:
    loose = {path.stem for path in (ROOT / "viubench").glob("*.py")}
    assert loose == {"__init__", "__main__", "errors", "version"}


def test_the_command_line_starts_without_heavy_packages() -> None:
    unwanted = (*HEAVY, "numpy", "pandas", "pydantic", "cv2", "av")
    code = f"import sys, viubench.cli; print([m for m in sys.modules if m.split('.')[0] in {unwanted}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_other_programs_need_is_exported_and_loaded_late() -> None:
    import viubench

    for name in viubench.__all__:
        assert getattr(getattr(viubench, name), "__name__", name) in (name, "get")
    with pytest.raises(AttributeError, match="nonsense"):
        _ = viubench.nonsense
