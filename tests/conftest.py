"""What every test gets: required parts, pytest's own test kit, and Hypothesis without a clock or chance."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["required_parts", "pytester"]

# A deadline is a timed test: on a busy machine it fails without a fault.
settings.register_profile("untimed", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# The same examples every time; HYPOTHESIS_PROFILE=search looks for others.
settings.register_profile("repeatable", settings.get_profile("untimed"), derandomize=True, database=None)
settings.register_profile("search", settings.get_profile("untimed"))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
