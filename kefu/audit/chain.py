"""The chain through the audit log: each entry's hash covers the entry and the hash before it.

The fields of `AuditEntry` are part of every hash ever kept: a new one would break all old entries.
"""

import hashlib
from typing import Final

import msgspec

from protocol.audit import AuditEntry

GENESIS: Final = bytes(32)


def link(previous: bytes, entry: AuditEntry) -> bytes:
    """The hash of an entry behind the entry whose hash is `previous`."""
    return hashlib.sha256(previous + msgspec.json.encode(entry, order="sorted")).digest()
