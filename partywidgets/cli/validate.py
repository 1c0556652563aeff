"""`partywidgets validate`: is a config right?"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path


def run(path: Path) -> None:
    """Prints one line about a config that is right. Raises ConfigError for one that is not."""
    from ..config import load_config

    config = load_config(path, environ=os.environ)
    kinds = Counter(str(getattr(check, "type", "?")) for check in config.checks)
    checks = f"{len(config.checks)} checks" + (
        f" ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})" if kinds else ""
    )
    sandboxes = f"{len(config.sandboxes)} sandboxes" + (f" ({', '.join(sorted(config.sandboxes))})" if config.sandboxes else "")
    schedule = f"all at '{config.schedule.full}' {config.schedule.timezone}" if config.schedule.full else "no full scan scheduled"
    print(f"{path}: right. {checks}; {sandboxes}; {schedule}.")
