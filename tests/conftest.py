"""What every test gets: required parts, pytest's own test kit, and Hypothesis without a clock."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["required_parts", "pytester"]

# A deadline is a timed test: on a busy machine it fails without a fault.
settings.register_profile("untimed", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
