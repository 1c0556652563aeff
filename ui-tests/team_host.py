"""A team's host beside a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from program import end

from tests.ports import kept_port

CONFIG = """\
auth: { origins: %s }
sandboxes: { default: "local:/bin/sh" }
checks:
  - { id: root-disk, type: host, disk: /, warn: "used_percent > 98", crit: "used_percent > 99.9" }
"""


class Host:
    """`partywidgets serve` in a process of its own, on a port that it keeps over restarts."""

    def __init__(
        self, folder: Path, *, origins: Sequence[str] = (), config: str | None = None, environ: dict[str, str] | None = None
    ) -> None:
        """`config` in place of the usual one, `environ` beside the environment."""
        self.folder, self.port, self.environ = folder, kept_port(), environ or {}
        (folder / "partywidgets.yaml").write_text(CONFIG % json.dumps(origins) if config is None else config)
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Its address, with the slash at the end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def token(self) -> str:
        """The owner's bearer token."""
        return (self.folder / "token").read_text().strip()

    def start(self, *, auth: bool = True) -> None:
        """Starts it and waits until it listens."""
        how = ["--token-file", "token"] if auth else ["--no-auth"]
        command = [sys.executable, "-m", "partywidgets", "serve", "partywidgets.yaml", "--port", str(self.port), *how]
        env = {**os.environ, "PARTYWIDGETS_HOME": str(self.folder / "state"), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}
        env |= self.environ
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise RuntimeError(f"the host did not start (exit code {self.process.wait(20)})")

    def kill(self) -> None:
        """Ends it as a lack of memory does."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()

    def stop(self) -> None:
        """Ends it as a service manager does."""
        if self.process is None:
            return
        end(self.process, 30)
        assert self.process.stdout is not None
        self.process.stdout.close()
