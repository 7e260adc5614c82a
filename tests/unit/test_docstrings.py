"""The examples in docstrings run: every `>>>` of the packages gives what is written below it.

An example that needs a model, a GPU or a folder of the reader's is written without `>>>`.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("evaluators", "viubench", "reports", "trainer", "task_yamls")
OTHERS = ("torch", "verl")
"""What some modules import at their top, and an environment may lack."""
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST


def modules() -> list[str]:
    """The modules with an example in them."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if ">>> " in file.read_text()
    ]


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path / "cache"))
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OTHERS:
            raise
        pytest.skip(f"{error.name} is not installed")
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
    assert runner.tries, "its examples are not found: is the docstring that of a module, class or function?"
