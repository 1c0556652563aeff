"""What is kept of a secret: its digest, so that neither a lookup's time nor a memory dump tells one."""

from __future__ import annotations

import hashlib


def digest_of(secret: str) -> bytes:
    """The key under which a token or a ticket is found."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
