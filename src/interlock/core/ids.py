"""Distinct identifier types; each is the plain text or number the outside world knows."""

from typing import NewType

AccountId = NewType("AccountId", str)
StrategyId = NewType("StrategyId", str)
SourceId = NewType("SourceId", str)
Symbol = NewType("Symbol", str)
IntentId = NewType("IntentId", str)
PolicyId = NewType("PolicyId", str)
DecisionId = NewType("DecisionId", int)
PermitId = NewType("PermitId", int)
