"""How many cores may be used: a container's quota counts, in either version of control groups."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from viubench.video import cores
from viubench.video.cores import available, quota, workers


def groups(folder: Path, lines: str, **files: str) -> float:
    """The quota where the kernel lists `lines`, and the files (`/` written as `__`) stand below the mount."""
    folder.mkdir()
    (folder / "cgroup").write_text(lines)
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("DOT", ".").replace("AND", ",")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return quota(folder / "cgroup", folder)


def test_the_least_quota_of_a_group_and_those_above_it_counts(tmp_path: Path) -> None:
    assert groups(tmp_path / "own", "0::/a/b\n", a__b__cpuDOTmax="max 100000\n", a__cpuDOTmax="350000 100000\n") == 3.5
    assert groups(tmp_path / "seen", "0::/of/the/host\n", cpuDOTmax="50000 100000\n") == 0.5, "a container's own root"
    old = {"cpuANDcpuacct__x__cpuDOTcfs_quota_us": "400000\n", "cpuANDcpuacct__x__cpuDOTcfs_period_us": "100000\n"}
    assert groups(tmp_path / "old", "4:memory:/y\n2:cpu,cpuacct:/x\n", **old) == 4
    old["cpuANDcpuacct__x__cpuDOTcfs_quota_us"] = "-1\n"
    assert groups(tmp_path / "free", "2:cpu,cpuacct:/x\n0::/\n", **old) == math.inf
    assert quota(tmp_path / "no such file") == math.inf


def test_replicas_share_the_cores_and_each_has_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(cores, "quota", lambda: math.inf)
    assert [workers(replicas) for replicas in (1, 3, 8, 40)] == [16, 5, 2, 1]
    monkeypatch.setattr(cores, "quota", lambda: 6.5)
    assert (available(), workers(), workers(2)) == (6, 6, 3)
    monkeypatch.setattr(cores, "quota", lambda: 0.5)
    assert workers() == 1
