"""
Retention: payloads that are needed for a while only are emptied; their digests stay, so the chain still verifies.

Each segment carries a signed mark of what was emptied in it. Without one, an emptied payload is a finding: whoever
wants a decision gone cannot pass it off as retention.
"""

import sqlite3
from collections.abc import Collection
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock.ledger.errors import named
from interlock.ledger.heads import retention_message, sign
from interlock.ledger.reader import latest_snapshot
from interlock.ledger.record import digest
from interlock.ledger.segment import Segment, segment_paths


def prune(
    directory: Path,
    before_ns: int,
    kinds: Collection[int],
    current: Path | None,
    schema: int,
    key: Ed25519PrivateKey | None,
) -> int:
    """Payloads of ``kinds`` in the segments before ``current`` are emptied as ``Ledger.prune`` says."""
    public_key = key.public_key() if key else None
    base = latest_snapshot(directory, schema=schema, before_ns=before_ns, public_key=public_key).snapshot
    if base is None:
        return 0
    emptied = 0
    for path in segment_paths(directory):
        if current is None or path >= current:
            break
        try:
            emptied += _prune_segment(path, before_ns, kinds, base.seq, key)
        except (sqlite3.Error, OSError) as error:
            raise named(error, path, base.seq) from error
    return emptied


def _prune_segment(path: Path, before_ns: int, kinds: Collection[int], base_seq: int, key: Ed25519PrivateKey | None) -> int:
    emptied = 0
    segment = Segment.editor(path)
    try:
        info = segment.info()
        if info is None:
            return 0
        for kind in kinds:
            mark = sign(key, retention_message(info.account, kind, before_ns))
            for page in segment.prunable(kind, before_ns, base_seq):
                segment.empty([(digest(payload), seq) for seq, payload in page], kind, before_ns, mark)
                emptied += len(page)
        if segment.drop_snapshots(base_seq) or emptied:
            segment.shrink()
    finally:
        segment.seal()
    return emptied
