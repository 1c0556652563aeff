"""Shells in pods: a front with the API's paths before containerd's own streaming server, which speaks the channel protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSMsgType, web

from partywidgets.exceptions import SandboxError
from tests.cri_fixture import WITH_BASH, CriRuntime, cri_runtime

from .conftest import Open

__all__ = ["cri_runtime"]


@asynccontextmanager
async def api(runtime: CriRuntime, container_id: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, int]]:
    """The API as far as exec needs it; what it refuses is in the dict: `pod` and `exec`, each a status."""
    refused: dict[str, int] = {}

    async def pod(request: web.Request) -> web.Response:
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
        query = request.query
        tty = query.get("tty") == "true"
        url = await asyncio.to_thread(runtime.exec_url, container_id, query.getall("command"), tty=tty, stderr=not tty)
        offered = [name.strip() for name in request.headers["Sec-WebSocket-Protocol"].split(",")]
        async with ClientSession() as session, session.ws_connect(url, protocols=offered) as upstream:
            front = web.WebSocketResponse(protocols=[str(upstream.protocol)])
            await front.prepare(request)

            async def inward() -> None:
                async for message in front:
                    await upstream.send_bytes(message.data)
                await upstream.close()

            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(inward())
                async for message in upstream:
                    if message.type is WSMsgType.BINARY:
                        await front.send_bytes(message.data)
                await front.close()
                task.cancel()
        return front

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/shop/pods/{pod}", pod)
    app.router.add_get("/api/v1/namespaces/shop/pods/{pod}/exec", execute)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield refused
    finally:
        await runner.cleanup()


@pytest.mark.docker
async def test_shell_in_a_pod(cri_runtime: CriRuntime, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod's shell has its size, exit codes, the resize, and its end with the code, over containerd's own channels."""
    container = await asyncio.to_thread(cri_runtime.start)
    async with api(cri_runtime, container, tmp_path, monkeypatch), opened("kubernetes:shop/web", cols=91, rows=33) as shell:
        await shell.prompt()
        assert (await shell.command("(exit 4)"))[0] == 4
        assert "33 91" in (await shell.command("stty size"))[1]
        await shell.sandbox.resize(100, 40)
        assert "40 100" in (await shell.command("stty size"))[1]
        shell.sandbox.write(b"exit 7\r")
        await shell.rest()
        end = await shell.sandbox.wait_exit()
        assert (end.code, end.reason) == (7, "the shell in web/app ended with code 7")


@pytest.mark.docker
async def test_bash_is_preferred(cri_runtime: CriRuntime, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bash in the image the shell is a bash with marks."""
    container = await asyncio.to_thread(cri_runtime.start, "", WITH_BASH)
    async with api(cri_runtime, container, tmp_path, monkeypatch), opened("kubernetes:test/shop/web/app") as shell:
        await shell.prompt()
        assert (await shell.command("echo ${BASH_VERSION%%.*}-is-bash; (exit 2)"))[0] == 2
        assert b"-is-bash\r\n" in shell.output


@pytest.mark.docker
async def test_refusals(cri_runtime: CriRuntime, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent pod, a wrong container, a role without exec and a missing kubeconfig are one sentence each."""
    async with api(cri_runtime, "none", tmp_path, monkeypatch) as refused:
        for address, told in (
            ("kubernetes:shop/gone", "there is no pod gone in namespace shop"),
            ("kubernetes:shop/web/db", "has no container db: it has app"),
            ("kubernetes:other/shop/web/app", "has no context 'other'"),
            ("kubernetes:web", "does not name a pod"),
        ):
            with pytest.raises(SandboxError, match=told):
                async with opened(address):
                    pass
        refused["exec"] = 403
        with pytest.raises(SandboxError, match=r"may not run commands in pod web.*pods/exec"):
            async with opened("kubernetes:shop/web"):
                pass
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(SandboxError, match=r"there is no kubeconfig at .*none"):
        async with opened("kubernetes:shop/web"):
            pass
