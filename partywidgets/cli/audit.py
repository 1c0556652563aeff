"""`partywidgets audit verify`: whether an audit log is as it was written."""

from __future__ import annotations

from pathlib import Path

from ..exceptions import ConfigError
from ..terminal.audit import verify
from . import Verdict


def run(file: Path) -> None:
    """Prints what was found. Raises Verdict 1 for a chain that is broken, ConfigError for a file that cannot be read."""
    try:
        found = verify(file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}): name an audit log, as in DIRECTORY/audit/terminals.jsonl") from None
    for place in found.torn:
        print(f"{place}: not a whole line; its host was killed while it wrote")
    if found.broken:
        print(f"broken at {found.broken}")
        raise Verdict(1)
    if found.dropped:
        print(f"the {found.dropped} oldest files were deleted by the host (recording.audit_bytes), as the chain says")
    print(f"{found.lines} lines, the chain holds")
