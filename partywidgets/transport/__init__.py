"""How a peer reaches a room: its socket, request or comm becomes a `Wire` (`party/wire.py`), and whoever is there a `Grant`.

Begin with `asgi.Door`, which every way leads through: authorise, take the secrets off, before-hook, room.
The files, by what they are about:

    any ASGI app          asgi scope fields standing body notices plain
    the bundled server    server accepting entrance upgrade handshake plain_socket
    one WebSocket         websocket intake control limits keepalive draining silence
    Jupyter Server        tornado tornado_stream asgi_answer detached
    a notebook's comm     comm comm_socket
"""
