"""A Ray cluster of our own: a slow machine gets further tries, one where it never starts a plain error."""

from __future__ import annotations

from typing import Any

import pytest

from viubench.errors import ViubenchError
from viubench.runner.parallel import ray_cluster


class SlowRay:
    """Stands for the package ray; it starts after some failures."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls: list[str] = []

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: Any) -> None:
        self.calls.append("init")
        if self.calls.count("init") <= self.failures:
            raise Exception("The current node timed out during startup. The GCS may be overloaded.")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


def test_a_cluster_that_starts_late_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = SlowRay(failures=2)
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    with ray_cluster.cluster("local"):
        assert ray.calls == ["init", "shutdown", "init", "shutdown", "init"]
    assert ray.calls[-1] == "shutdown"


def test_a_cluster_that_never_starts_is_a_plain_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: SlowRay(failures=9))
    with (
        pytest.raises(ViubenchError, match="Ray does not start on this machine: The current node timed out"),
        ray_cluster.cluster("local"),
    ):
        pass
