"""What a host leaves behind that was killed with SIGKILL while it recorded."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

from partywidgets.terminal.audit import verify
from partywidgets.terminal.recording_access import listed

from .viewers import WAIT, watching

HOST = """
import asyncio, sys
from partywidgets.party import Environment, PartyHost
from partywidgets.terminal.server import TerminalServer
from partywidgets.terminal.settings import TerminalSettings
from partywidgets.transport.server import serve

async def main():
    env = Environment(TerminalSettings({"default": "local:/bin/bash"}))
    host = PartyHost({"terminal-server": TerminalServer}, storage=sys.argv[1], env=env)
    async with host, serve(host, bind="127.0.0.1", port=0, auth=None) as server:
        print(server.url, flush=True)
        await server.serve_forever()

asyncio.run(main())
"""


def output_in(cast: str) -> str:
    """What a recording has of the shell's output, in however many pieces it came; a line that is being written is left out."""
    whole = cast[: cast.rfind("\n") + 1]
    return "".join(json.loads(line)[2] for line in whole.splitlines() if re.match(r'\[[0-9.]+,"o"', line))


async def test_the_files_of_a_killed_host(tmp_path: Path) -> None:
    """Up to the last flush the recording is there, readable and not complete, and the audit log's chain holds."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOST, str(tmp_path), stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), WAIT)).decode().strip().rstrip("/")
        async with watching(url) as viewer:
            await viewer.running()
            await viewer.ask("run", command="echo kept-$((40+2)); false")
            await viewer.type("sleep 100\r")
            recordings = tmp_path / "recordings"
            async with asyncio.timeout(WAIT):
                while not any("sleep 100" in output_in(file.read_text()) for file in recordings.glob("*/*.cast")):
                    await asyncio.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        (folder,) = recordings.iterdir()
        (facts,) = listed(folder)
        assert (facts["complete"], facts["exit_code"], facts["gaps"]) == (False, None, 0)
        assert "kept-42\r\n" in output_in((folder / f"{facts['id']}.cast").read_text())
        checked = await asyncio.to_thread(verify, tmp_path / "audit" / "terminals.jsonl")
        assert checked.broken == ""
        assert checked.lines > 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
