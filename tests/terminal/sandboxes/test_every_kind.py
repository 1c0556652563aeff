"""What every kind of sandbox owes to a room: a clear state when there is nothing, and a room that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from partywidgets.terminal.sandboxes.opening import SCHEMES
from tests.ports import kept_port
from tests.terminal.conftest import Serve
from tests.terminal.viewers import Viewer

NOTHING = {
    "local:/no/such/shell": "cannot run /no/such/shell: it is not an executable file",
    "docker:web-1": "no docker engine listens at",
    "docker:web-1?attach": "no docker engine listens at",
    "podman:web-1": "no podman engine listens at",
    "kubernetes:shop/web": "there is no kubeconfig at",
    "ssh:ops@127.0.0.1:PORT?config=none": "no SSH server answers at ops@127.0.0.1:",
    "ws://127.0.0.1:PORT/?token=hush": "no container answers at ws://127.0.0.1:",
    "wss://me:hush@127.0.0.1:PORT/": "no container answers at wss://127.0.0.1:",
    "ws://127.0.0.1:PORT/ws/pty?sessionId=s&bearer=hush": "no container answers at ws://127.0.0.1:",
    "ws://127.0.0.1:PORT/ws/terminal?terminalId=t&bearer=hush": "no container answers at ws://127.0.0.1:",
    "jupyter+ws://127.0.0.1:PORT/terminals/websocket/t1?token=hush": "no Jupyter Server answers at jupyter+ws://127.0.0.1:",
    "jupyter+wss://127.0.0.1:PORT/terminals/websocket/t1?token=hush": "no Jupyter Server answers at jupyter+wss://127.0.0.1:",
    "ttyd+ws://127.0.0.1:PORT/ws?credential=me:hush": "no ttyd answers at ttyd+ws://127.0.0.1:",
    "ttyd+wss://127.0.0.1:PORT/ws?credential=me:hush": "no ttyd answers at ttyd+wss://127.0.0.1:",
}


def test_no_kind_is_left_out() -> None:
    """Each scheme that an address can have is tried below."""
    assert {address.partition(":")[0] for address in NOTHING} == set(SCHEMES)


async def failed(viewer: Viewer) -> str:
    """Waits until the viewer knows that there is no terminal; why."""
    told = await viewer.until(lambda: [m for m in viewer.of("welcome") + viewer.of("upstream") if m["state"] == "failed"])
    return str(told[-1]["reason"])


@pytest.mark.parametrize("address", NOTHING)
async def test_nothing_there(address: str, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everyone hears one sentence without secrets, whoever comes late too; the room answers what it is asked, and a restart tries again."""
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.setenv(name, f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    if address.startswith("ssh:"):
        pytest.importorskip("asyncssh")
    if address.startswith("kubernetes:"):
        pytest.importorskip("kubernetes_asyncio")
    async with (
        serve(default=address.replace("PORT", str(kept_port()))) as place,
        place.watch() as ana,
        place.watch(who="obi") as obi,
        place.watch(who="pia", dialect=None) as pia,
    ):
        for viewer in (ana, obi):
            reason = await failed(viewer)
            assert reason.startswith(NOTHING[address])
            assert "\n" not in reason
            assert "hush" not in reason
        await pia.until(lambda: NOTHING[address][:30] in pia.text)
        assert "hush" not in pia.text
        answer = await ana.ask("run", command="true", timeout_s=5)
        assert answer["ok"] is False
        assert NOTHING[address] in answer["error"]
        assert (await ana.ask("restart"))["ok"] is True
        await ana.until(lambda: len([m for m in ana.of("upstream") if m["state"] == "starting"]) >= 1)
        await ana.until(lambda: ana.of("upstream")[-1]["state"] == "failed")
        async with place.watch(who="ben") as late:
            assert (await failed(late)).startswith(NOTHING[address])
