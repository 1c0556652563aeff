"""Our bundled server with terminal rooms on local shells, open on the loopback. Prints "ready PORT".

terminal_room.py asyncio|uvloop recorded|unrecorded
"""

import asyncio
import sys
import tempfile

from partywidgets.party import Environment, PartyHost
from partywidgets.terminal.server import TerminalServer
from partywidgets.terminal.settings import RecordingSettings, TerminalSettings
from partywidgets.transport.server import serve


async def main() -> None:
    """Serves until killed."""
    recording = RecordingSettings(enabled=sys.argv[2] == "recorded")
    settings = TerminalSettings(sandboxes={"default": "local:/bin/bash"}, host_id="bench", recording=recording)
    with tempfile.TemporaryDirectory() as folder:
        host = PartyHost({"terminal-server": TerminalServer}, storage=folder, env=Environment(settings))
        async with host, serve(host, bind="127.0.0.1", port=0, auth=None) as server:
            print(f"ready {server.port}", flush=True)
            await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
