"""A tiny checkpoint, and the answers of transformers to the standard requests, made once for all engine tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import training_world
from engine_requests import ask, standard, texts

from viubench import tiny
from viubench.engines import make


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-qwen3-vl"
    tiny.write(folder)
    return folder


@pytest.fixture(scope="session")
def hf_answers(tiny_model: Path) -> list[str]:
    return texts(ask(make("hf", model=str(tiny_model), base_urls=(), args={"device": "cpu"}), standard()))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items to train on, see `training_world`."""
    return training_world.make(tmp_path_factory.mktemp("training"))
