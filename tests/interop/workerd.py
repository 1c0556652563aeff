"""What workerd says on its standard output, where it was started with --control-fd=1."""

from __future__ import annotations

import json
import subprocess


def listening_port(process: subprocess.Popen[str]) -> int:
    """The port on which it listens, once it does; fails when it ends before."""
    assert process.stdout is not None
    port = None
    while port is None and (line := process.stdout.readline()):
        port = json.loads(line).get("port")
    assert port, "workerd ended before it listened"
    return int(port)
