"""What a check of a ledger can find, as data."""

from enum import StrEnum
from typing import Final

import msgspec


class Code(StrEnum):
    """Kinds of findings, stable for ever."""

    RECORD_EDITED = "RECORD_EDITED"
    RECORD_MISSING = "RECORD_MISSING"
    RECORD_REORDERED = "RECORD_REORDERED"
    PAYLOAD_REMOVED = "PAYLOAD_REMOVED"
    TAIL_CUT = "TAIL_CUT"
    CHAIN_RECOMPUTED = "CHAIN_RECOMPUTED"
    HEAD_FORGED = "HEAD_FORGED"
    HEAD_MISSING = "HEAD_MISSING"
    SEGMENT_EDITED = "SEGMENT_EDITED"
    SEGMENT_MISSING = "SEGMENT_MISSING"
    SEGMENT_REPLACED = "SEGMENT_REPLACED"
    SEGMENT_UNREADABLE = "SEGMENT_UNREADABLE"
    SNAPSHOT_DAMAGED = "SNAPSHOT_DAMAGED"
    RETENTION_FORGED = "RETENTION_FORGED"
    ANCHOR_MISSING = "ANCHOR_MISSING"
    ANCHOR_DAMAGED = "ANCHOR_DAMAGED"
    TOO_NEW = "TOO_NEW"


class Problem(msgspec.Struct, frozen=True):
    """One finding: what is wrong, where, and what a person can do about it."""

    code: Code
    seq: int | None
    segment: str | None
    what: str

    @property
    def remedy(self) -> str:
        """What a person can do."""
        return _REMEDIES.get(self.code, _RESTORE)


_RESTORE: Final = "keep these files as evidence and restore the segment from a backup"
_REMEDIES: Final = {
    Code.SNAPSHOT_DAMAGED: "nothing has to be done: recovery folds from an older snapshot",
    Code.TAIL_CUT: "restore the newest segment from a backup; compare positions with the venue",
    Code.HEAD_FORGED: "check that the public key is the ledger's; else keep these files and restore a backup",
    Code.ANCHOR_MISSING: "restore the anchor file, or say where it is",
    Code.ANCHOR_DAMAGED: "restore the anchor file from its copy",
    Code.TOO_NEW: "upgrade interlock",
}
