"""Shared terminals and a live board of health checks inside the notebook.

    %load_ext partywidgets
    import partywidgets as pw

    term = pw.Terminal("worker-123", sandbox="docker:web-1"); term
    ops = await pw.ops("partywidgets.yaml"); ops

Every public name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {
    "Terminal": ".widgets.terminal",
    "Recording": ".widgets.recording",
    "recordings": ".widgets.recording",
    "terminals": ".widgets.terminals",
    "ScanTable": ".widgets.scan_table",
    "OpsDashboard": ".widgets.dashboard",
    "ops": ".widgets.ops",
    "scan": ".widgets.ops",
    "connect": ".widgets.ops",
    "check": ".scans.check_decorator",
    "Result": ".scans.checks.function",
    "serve": ".transport.server",
    "PartyMiddleware": ".transport.asgi",
    "PartyHost": ".party",
    "Server": ".party",
    "Connection": ".party",
    "ConnectionContext": ".party",
    "Grant": ".party",
    "Refusal": ".auth",
    "PartySocket": ".partysocket",
    "TerminalClient": ".client.terminal",
    "OpsClient": ".client.ops",
    "PartyError": ".exceptions",
}

__all__ = [
    "Connection",
    "ConnectionContext",
    "Grant",
    "OpsClient",
    "OpsDashboard",
    "PartyError",
    "PartyHost",
    "PartyMiddleware",
    "PartySocket",
    "Recording",
    "Refusal",
    "Result",
    "ScanTable",
    "Server",
    "Terminal",
    "TerminalClient",
    "__version__",
    "check",
    "connect",
    "ops",
    "recordings",
    "scan",
    "serve",
    "terminals",
]

_MEANT = {
    **dict.fromkeys(("dashboard", "board", "opsboard"), "pw.OpsDashboard, or `ops = await pw.ops()`"),
    **dict.fromkeys(("table", "results"), "pw.ScanTable"),
    **dict.fromkeys(("term", "shell", "console"), "pw.Terminal"),
    **dict.fromkeys(("host",), "pw.PartyHost"),
    **dict.fromkeys(("room",), "pw.Server, of which a room is made"),
    **dict.fromkeys(("load", "load_config", "config"), '`await pw.ops("partywidgets.yaml")`'),
    **dict.fromkeys(("status", "metric"), "pw.Result"),
    **dict.fromkeys(("run", "exec"), "`await pw.Terminal(ROOM).run(…)`"),
}

if TYPE_CHECKING:
    from . import exceptions as exceptions
    from .auth import Refusal
    from .client.ops import OpsClient
    from .client.terminal import TerminalClient
    from .exceptions import PartyError
    from .party import Connection, ConnectionContext, Grant, PartyHost, Server
    from .partysocket import PartySocket
    from .scans.check_decorator import check
    from .scans.checks.function import Result
    from .transport.asgi import PartyMiddleware
    from .transport.server import serve
    from .widgets.dashboard import OpsDashboard
    from .widgets.ops import connect, ops, scan
    from .widgets.recording import Recording, recordings
    from .widgets.scan_table import ScanTable
    from .widgets.terminal import Terminal
    from .widgets.terminals import terminals


if not TYPE_CHECKING:  # a type checker is to find a name that is not there

    def __getattr__(name: str) -> Any:
        place = _PLACES.get(name)
        if place is not None:
            value = globals()[name] = getattr(importlib.import_module(place, __name__), name)
            return value
        if name.startswith("_"):  # what Python looks for
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        exceptions = importlib.import_module(".exceptions", __name__)
        if name == "exceptions":
            return exceptions
        from .spelling import missing_name

        raise missing_name(__name__, name, _PLACES, {name.lower(): f"pw.exceptions.{name}"} if hasattr(exceptions, name) else _MEANT)


def __dir__() -> list[str]:
    return sorted({*__all__, "exceptions", *(name for name in globals() if name.startswith("__"))})


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext partywidgets`: the magics, snapshots after each cell, and `@pw.check` functions offered to the host. Starts no server."""
    from .kernel import load_ipython_extension

    load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Undoes `load_ipython_extension`; widgets and their rooms stay."""
    from .kernel import unload_ipython_extension

    unload_ipython_extension(shell)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .extension import PartyWidgetsApp

    return [{"module": "partywidgets", "app": PartyWidgetsApp}]
