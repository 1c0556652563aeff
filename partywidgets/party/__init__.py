"""The room engine: PartyServer's counterpart. Knows nothing of terminals, scans, Jupyter or a web framework's server.

Begin with `server` (what a room's author writes), `host` and `room` (what calls it). The files, by what they are about:

    a room's author       server connection grant routing
    the host              host roster making_place closing nobody
    a room                room arrivals occupants lane hook tasks failures
    out of a room         wire fanout crowd sender io_uring
    resume                resume counting
    storage and alarms    storage records alarm database storage_thread directory directory_watch owner
"""

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
