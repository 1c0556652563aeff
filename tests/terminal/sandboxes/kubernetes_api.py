"""The Kubernetes API as far as a terminal needs it, and what answers its exec: containerd's own server, or a peer by definition."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest
from aiohttp import ClientSession, WSMsgType, web

from tests.cri_fixture import CriRuntime
from tests.kubeconfig import kubeconfig

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def well_asked(request: web.Request) -> bool:
    """Whether an exec is asked for as PodExecOptions are defined: known parameters, each but `command` once, a terminal without stderr."""
    query = request.query
    once = [name for name in query if name != "command"]
    flags = [query.get(name, "false") for name in ("stdin", "stdout", "stderr", "tty")]
    known = {"command", "container", "stdin", "stdout", "stderr", "tty"}
    return (
        request.headers.get("Authorization") == "Bearer t"
        and set(query) <= known
        and len(once) == len(set(once))
        and set(flags) <= {"true", "false"}
        and "true" in flags[:3]
        and flags[2:] != ["true", "true"]
        and bool(query.getall("command", []))
    )


@asynccontextmanager
async def api(served: Handler, container_id: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, int]]:
    """The API as far as exec needs it, before what serves the exec; what it refuses is in the dict: `pod` and `exec`, each a status."""
    refused: dict[str, int] = {}

    async def pod(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer t" or request.query:
            return web.json_response({"kind": "Status", "status": "Failure", "message": "bad request", "code": 400}, status=400)
        if request.match_info["pod"] != "web" or "pod" in refused:
            status = refused.get("pod", 404)
            return web.json_response({"kind": "Status", "status": "Failure", "message": "no", "code": status}, status=status)
        state = {"name": "app", "containerID": f"containerd://{container_id}", "state": {"running": {}}}
        return web.json_response(
            {
                "metadata": {"name": "web"},
                "spec": {"containers": [{"name": "app"}]},
                "status": {"phase": "Running", "containerStatuses": [state]},
            }
        )

    async def execute(request: web.Request) -> web.StreamResponse:
        if "exec" in refused:
            return web.Response(status=refused["exec"])
        if not well_asked(request):
            return web.json_response({"kind": "Status", "status": "Failure", "message": "bad exec options", "code": 400}, status=400)
        return await served(request)

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/shop/pods/{pod}", pod)
    app.router.add_get("/api/v1/namespaces/shop/pods/{pod}/exec", execute)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    monkeypatch.setenv("KUBECONFIG", kubeconfig(folder, runner.addresses[0][1]))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield refused
    finally:
        await runner.cleanup()


def containerd(runtime: CriRuntime, container_id: str) -> Handler:
    """Exec in a container, by the streaming server of its runtime."""

    async def execute(request: web.Request) -> web.StreamResponse:
        query = request.query
        tty = query.get("tty") == "true"
        url = await asyncio.to_thread(runtime.exec_url, container_id, query.getall("command"), tty=tty, stderr=not tty)
        offered = [name.strip() for name in request.headers["Sec-WebSocket-Protocol"].split(",")]
        async with ClientSession() as session, session.ws_connect(url, protocols=offered, autoping=False) as upstream:
            front = web.WebSocketResponse(protocols=[str(upstream.protocol)], autoping=False)
            await front.prepare(request)

            async def inward() -> None:
                async for message in front:
                    if message.type is WSMsgType.PING:
                        await upstream.ping(message.data)
                    else:
                        await upstream.send_bytes(message.data)
                await upstream.close()

            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(inward())
                async for message in upstream:
                    if message.type is WSMsgType.BINARY:
                        await front.send_bytes(message.data)
                    elif message.type is WSMsgType.PONG:
                        await front.pong(message.data)
                await front.close()
                task.cancel()
        return front

    return execute


@dataclass
class Peer:
    """The channel protocol by its definition (k8s.io/apimachinery, pkg/util/remotecommand; v5: KEP-4006): commands run on this machine.

    `protocols` are those that it speaks.
    """

    protocols: tuple[str, ...]
    chosen: list[str | None] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """One exec."""
        socket = web.WebSocketResponse(protocols=self.protocols)
        await socket.prepare(request)
        self.chosen.append(socket.ws_protocol)
        if socket.ws_protocol is None:
            await socket.close()
            return socket
        master, slave = pty.openpty() if request.query.get("tty") == "true" else (-1, asyncio.subprocess.PIPE)
        argv = [*(["setsid", "-c"] if master >= 0 else []), *request.query.getall("command")]
        process = await asyncio.create_subprocess_exec(*argv, stdin=slave, stdout=slave, stderr=slave)
        if master >= 0:
            os.close(slave)
        try:
            async with asyncio.TaskGroup() as tasks:
                inward = tasks.create_task(self._inward(socket, master, process.stdin))
                if master >= 0:
                    await self._terminal(socket, master)
                else:
                    assert process.stdout is not None
                    assert process.stderr is not None
                    async with asyncio.TaskGroup() as both:
                        both.create_task(self._stream(socket, 1, process.stdout))
                        both.create_task(self._stream(socket, 2, process.stderr))
                code = await process.wait()
                if socket.ws_protocol == "v5.channel.k8s.io":
                    await socket.send_bytes(bytes([255, 1]))
                await socket.send_bytes(b"\x03" + json.dumps(self._status(code)).encode())
                await socket.close()
                inward.cancel()
        finally:
            if process.returncode is None:  # the one who asked has left
                process.kill()
                await process.communicate()
        return socket

    @staticmethod
    def _status(code: int) -> dict[str, object]:
        if code == 0:
            return {"metadata": {}, "status": "Success"}
        causes = [{"reason": "ExitCode", "message": str(code)}]
        return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}

    async def _inward(self, socket: web.WebSocketResponse, master: int, stdin: asyncio.StreamWriter | None) -> None:
        async for message in socket:
            frame: bytes = message.data
            if frame[0] == 0 and stdin is not None:
                stdin.write(frame[1:])
            elif frame[0] == 0:
                await asyncio.to_thread(os.write, master, frame[1:])
            elif frame[0] == 4:
                size = json.loads(frame[1:])
                fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size["Height"], size["Width"], 0, 0))
        if stdin is not None:
            stdin.close()

    @staticmethod
    async def _stream(socket: web.WebSocketResponse, channel: int, stream: asyncio.StreamReader) -> None:
        while piece := await stream.read(4096):
            await socket.send_bytes(bytes([channel]) + piece)

    @staticmethod
    async def _terminal(socket: web.WebSocketResponse, master: int) -> None:
        with contextlib.suppress(OSError):
            while piece := await asyncio.to_thread(os.read, master, 4096):
                await socket.send_bytes(b"\x01" + piece)
        os.close(master)
