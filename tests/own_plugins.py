"""The plug-ins that this checkout registers, whatever was installed and when: worktrees may share one environment.

Example: called before anything looks up a plug-in; programs that tests start see the same.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def register() -> None:
    """Put a copy of the package's metadata with the entry points of `pyproject.toml` in front of the installed one;
    nothing where they are the same."""
    groups = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]
    installed = metadata.distribution("viubench")
    known = {(point.group, point.name, point.value) for point in installed.entry_points}
    if known >= {(group, name, value) for group, points in groups.items() for name, value in points.items()}:
        return
    site = Path(tempfile.mkdtemp(prefix="viubench-plugins-"))
    atexit.register(shutil.rmtree, site, ignore_errors=True)
    about = site / "viubench.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(installed.read_text("METADATA") or installed.read_text("PKG-INFO") or "")
    text = "\n".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in groups.items()
    )
    (about / "entry_points.txt").write_text(text)
    sys.path.insert(0, str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
