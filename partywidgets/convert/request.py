"""What requests of other tools have in common here."""

from __future__ import annotations

import re

SECRET_HEADER = re.compile(
    r"(^|-)(auth|key|jwt|signature)($|-)|authorization|cookie|token|secret|password|(api|access|auth|private|subscription)key|credential",
    re.IGNORECASE,
)
"""A header whose value goes into a variable, whatever it looks like."""

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
"""What asks for a WebSocket (RFC 6455 §4.1). The key is the RFC's own example: a nonce, of which a look makes no use."""
