"""Which worker runs what, clips drawn once for a test process, and the folder of real ones where there is one."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import own_plugins
import pytest

from viubench.video import synthetic

own_plugins.register()

# As many threads as workers, here and in the programs that tests start; a process without a pool of threads may fork.
os.environ.setdefault("OMP_NUM_THREADS", "1")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background would have programs ignore Ctrl-C
os.environ.pop("COLUMNS", None)  # of pytest-xdist: tables would be wrapped
if sys.dont_write_bytecode:  # each program that a test starts would compile all of torch, transformers and vLLM again
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).parents[1] / ".pytest_cache/bytecode")
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")  # vLLM compiles a function or two: longer than all its answers here


E2E = Path(__file__).parent / "e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that start programs and engines come first: the many short files are left for the end, when they keep both
    workers busy until the last minute."""
    items.sort(key=lambda item: E2E not in item.path.parents)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays on one worker, as do all that open lmms-eval. (The scheduler's own way to read the marks changes the
    ids of tests, which pytest 9.2 no longer lets it.)"""
    from xdist.scheduler import LoadGroupScheduling

    class Files(LoadGroupScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group(config.rootpath / nodeid.split("::")[0])

    return Files(config, log)


@cache
def group(file: Path) -> str:
    """The group that a test file names, else the file itself."""
    named = re.search(r"mark\.xdist_group\(\"(\w+)\"\)", file.read_text())
    return named[1] if named else str(file)


@pytest.fixture(scope="module", autouse=True)
def same_environment() -> Iterator[None]:
    """What an engine sets is not handed to later files: the environment (TQDM_DISABLE, say), and the processor's way
    with tiny numbers, which an engine's fast kernels round to zero for the whole thread."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four short drawn clips."""
    folder = tmp_path_factory.mktemp("clips")
    synthetic.draw(folder, 4, 0, seconds=8)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a few thousand random weights; tests that change it take a copy."""
    pytest.importorskip("transformers")
    from viubench.engines import tiny_checkpoints

    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-qwen3-vl"
    tiny_checkpoints.write(folder)
    return folder


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """A folder of real clips, named by VIUBENCH_REAL_CLIPS; the test is skipped without one."""
    folder = os.environ.get("VIUBENCH_REAL_CLIPS")
    if not folder:
        pytest.skip("VIUBENCH_REAL_CLIPS names no folder of real clips")
    return Path(folder)
