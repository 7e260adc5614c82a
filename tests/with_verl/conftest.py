"""verl's own parts, on what this project hands it; skipped where verl is not installed (`make test-verl` has it)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import verl_world

from trainer import verl
from trainer.data import Questions
from trainer.verl_overrides import overrides
from viubench import tiny
from viubench.video.store import FrameStore

if find_spec("verl") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-qwen3-vl"
    tiny.write(folder)
    return folder


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory, clips: Path, tiny_model: Path) -> Questions:
    folder = tmp_path_factory.mktemp("world")
    store = FrameStore(folder / "frames")
    return verl_world.questions(verl_world.items(clips, folder / "items", store), store, model=str(tiny_model))


@pytest.fixture(scope="session")
def written(questions: Questions, tmp_path_factory: pytest.TempPathFactory) -> verl.Written:
    return verl.export(questions, tmp_path_factory.mktemp("handed"))


@pytest.fixture(scope="session")
def config(questions: Questions, written: verl.Written, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """verl's configuration of the training on `questions`."""
    return verl_world.composed(overrides(questions.config, written, tmp_path_factory.mktemp("out"), gpus=1))
