"""Property tests are not judged by the clock: how long an example takes says how busy the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile("viubench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("viubench")
