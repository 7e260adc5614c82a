"""verl's own parts, on what this project hands it; skipped where verl is not installed (`make test-verl` has it)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest
import verl_exports

from trainer.dataset import Questions
from trainer.verl import export
from trainer.verl.export import overrides
from viubench.video.frame_cache import FrameCache


class Skipped(pytest.Module):
    """A file of tests that is not imported, because it imports verl."""

    def collect(self) -> NoReturn:
        pytest.skip("verl is not installed here: make test-verl", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skip every file below, with a reason, where verl is not installed."""
    return Skipped.from_parent(parent, path=module_path) if find_spec("verl") is None else None


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory, clips: Path, tiny_model: Path) -> Questions:
    folder = tmp_path_factory.mktemp("world")
    store = FrameCache(folder / "frames")
    return verl_exports.questions(verl_exports.items(clips, folder / "items", store), store, model=str(tiny_model))


@pytest.fixture(scope="session")
def written(questions: Questions, tmp_path_factory: pytest.TempPathFactory) -> export.VerlExport:
    return export.export(questions, tmp_path_factory.mktemp("handed"))


@pytest.fixture(scope="session")
def config(questions: Questions, written: export.VerlExport, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """verl's configuration of the training on `questions`."""
    return verl_exports.composed(overrides(questions.config, written, tmp_path_factory.mktemp("out"), gpus=1))
