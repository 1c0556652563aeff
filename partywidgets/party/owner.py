"""Whose a file is: what an error about rights leaves out, and what whoever mends it asks first."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def owner_of(path: Path) -> str:
    """`; it belongs to ada, and this runs as root` where another's file, or its directory, may not be read and written; else empty."""
    for place, what in ((path, "it"), (path.parent, "its directory")):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner != os.geteuid() and not os.access(place, os.R_OK | os.W_OK):
            return f"; {what} belongs to {_name(owner)}, and this runs as {_name(os.geteuid())}"
    return ""


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


__all__ = ["owner_of"]
