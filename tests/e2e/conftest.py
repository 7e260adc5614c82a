"""What several files share: a tiny checkpoint and the answers of transformers to it, items to train on, a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked_cores
import lmms_datasets
import pytest
import tiny_training
from engine_requests import ask, standard, texts
from lmms_process import LmmsProcess

from viubench.engines import make

CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
                      "--disable-sync", "--no-first-run"]  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def cores_are_forks() -> Iterator[None]:
    """See `forked_cores`; the programs that tests start are not concerned."""
    with forked_cores.used():
        yield


@pytest.fixture(scope="session")
def hf_answers(tiny_model: Path) -> list[str]:
    return texts(ask(make("hf", model=str(tiny_model), base_urls=(), args={"device": "cpu"}), standard()))


@pytest.fixture(scope="session")
def lmms_data(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that lmms-eval is run in, with the data of some of its tasks."""
    folder = tmp_path_factory.mktemp("lmms")
    lmms_datasets.write(folder, clips)
    return folder


@pytest.fixture(scope="session")
def lmms(lmms_data: Path) -> Iterator[LmmsProcess]:
    """lmms-eval, opened once for all commands that need it."""
    with LmmsProcess(os.environ | lmms_datasets.environment(lmms_data)) as process:
        yield process


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items to train on, see `tiny_training`."""
    return tiny_training.make(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser for the tests of one file: while it is there, its event loop runs in this thread and bars any other."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if (program := shutil.which("chromium")) is None:
        pytest.skip("no chromium on the PATH")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The page at the file's own `address`, in a tab that says what it fetched and must have no faults."""
    tab = chromium.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
    tab.seen, tab.faults = [], []
    tab.on("request", lambda request: tab.seen.append(request.url))
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    tab.on("console", lambda message: tab.faults.append(message.text) if message.type == "error" else None)
    tab.goto(address)
    yield tab
    assert tab.faults == []
    tab.close()
