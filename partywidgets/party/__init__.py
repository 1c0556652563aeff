"""The room engine: PartyServer's counterpart. Knows nothing of terminals, scans, Jupyter or a web framework's server."""

from .connection import Connection, ConnectionContext, ReadyState, grant_of
from .grant import Grant
from .host import PartyHost
from .records import Records
from .routing import Alias, BeforeHook, Lobby
from .server import Environment, Server
from .storage import Storage
from .wire import Batch, Frame, Receiver, Wire

__all__ = [
    "Alias",
    "Batch",
    "BeforeHook",
    "Connection",
    "ConnectionContext",
    "Environment",
    "Frame",
    "Grant",
    "Lobby",
    "PartyHost",
    "ReadyState",
    "Receiver",
    "Records",
    "Server",
    "Storage",
    "Wire",
    "grant_of",
]
