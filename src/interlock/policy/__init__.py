"""
What people and machines write down about risk, and its translation into what the core reads.

`units` reads numbers with units, `calendar` turns wall clocks into instants, `layout` says where each limit stands in a
file, `model` is the shape of that file, `rules` holds what must be true across it, `load` puts them together into
a `Policy`, `describe` shows the result. Nothing here decides about an order.
"""

from interlock.policy.describe import describe, describe_preset, preset_list
from interlock.policy.load import load_policy, policy_problems
from interlock.policy.policy import Policy
from interlock.policy.problems import Problem

__all__ = ["Policy", "Problem", "describe", "describe_preset", "load_policy", "policy_problems", "preset_list"]
