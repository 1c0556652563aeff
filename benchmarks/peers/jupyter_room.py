"""The Jupyter Server extension with one more party, `fanout`, so that a publisher has a room to speak in.

The way in is the extension's own: Jupyter's login, the detached socket, the room loop. Only the composition behind it is the benchmark's.
A Jupyter Server finds it by `--ServerApp.jpserver_extensions={'benchmarks.peers.jupyter_room': True}` with the checkout on PYTHONPATH.
"""

from typing import Any

from benchmarks.peers.room import Fanout
from partywidgets.app import App
from partywidgets.extension import PartyWidgetsApp
from partywidgets.party import PartyHost
from partywidgets.transport.asgi import PartyMiddleware


class BenchmarkApp(PartyWidgetsApp):
    """`fanout` stands in front of the rooms of the extension."""

    name = "jupyter_room"

    async def _open(self, serverapp: Any) -> App:
        app = await super()._open(serverapp)
        assert self._stack is not None
        host = await self._stack.enter_async_context(PartyHost({"fanout": Fanout}, storage=app.host.storage_path / "fanout"))
        app.asgi = PartyMiddleware(app.asgi, host, auth=self._gate)
        return app


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "benchmarks.peers.jupyter_room", "app": BenchmarkApp}]
