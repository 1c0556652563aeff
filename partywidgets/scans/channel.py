"""Where the ops room is: its party, its name and its other paths."""

from __future__ import annotations

from ..party import Alias

PARTY = "ops-monitor-broadcast"
ROOM = "main"
"""The one channel of all ops scans."""

ALIASES = (
    Alias("/api/ops/broadcast", PARTY, ROOM),
    Alias("/api/ops/scans", PARTY, ROOM),
    Alias("/api/ops/scans/{rest:path}", PARTY, ROOM),
)
"""The room's other paths."""
