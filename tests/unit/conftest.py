"""Property tests are not judged by the clock: how long an example takes says how busy the machine is."""

from collections.abc import Iterator

import pytest
from fake_server import Serve, servers
from hypothesis import HealthCheck, settings

settings.register_profile("viubench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("viubench")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts scripted servers, which end with the test."""
    with servers() as make:
        yield make
