"""PartySocket: the reconnecting client, with the npm package's options under Python names and its known faults mended.

Differences from npm's `partysocket`: an explicit scheme in `host` is kept; party and room are percent-quoted; the delay is
jittered; the buffers are bounded; `reconnect()` shortens a wait; 4401, 4403 and 4409 end it, and a socket that has given up
says so; close events carry the real code.
"""

from .address import encode_query, is_loopback_host, is_private_host, party_path, root_url
from .close_event import CloseEvent, reconnects
from .fetch import FetchResponse, fetch_url
from .provided import Provided
from .reconnecting import ReconnectingWebSocket
from .room import PartySocket

__all__ = [
    "CloseEvent",
    "FetchResponse",
    "PartySocket",
    "Provided",
    "ReconnectingWebSocket",
    "encode_query",
    "fetch_url",
    "is_loopback_host",
    "is_private_host",
    "party_path",
    "reconnects",
    "root_url",
]
