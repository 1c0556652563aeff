"""Shells in pods: by containerd's own streaming server, which speaks v4 of the channel protocol, and by a peer that speaks v5."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from partywidgets.engines.kubernetes import KubernetesEngine
from partywidgets.engines.kubernetes_exec import PodPlace
from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes.kubernetes import KubernetesSandbox
from tests.cri_fixture import WITH_BASH, CriRuntime, cri_runtime
from tests.terminal.conftest import Serve

from .conftest import Open
from .kubernetes_api import Peer, api, containerd

__all__ = ["cri_runtime"]


@pytest.mark.docker
async def test_shell_in_a_pod(cri_runtime: CriRuntime, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod's shell has its size, exit codes, the resize, and its end with the code, over containerd's own channels."""
    container = await asyncio.to_thread(cri_runtime.start)
    async with (
        api(containerd(cri_runtime, container), container, tmp_path, monkeypatch),
        opened("kubernetes:shop/web", cols=91, rows=33) as shell,
    ):
        await shell.prompt()
        assert (await shell.command("(exit 4)"))[0] == 4
        assert "33 91" in (await shell.command("stty size"))[1]
        await shell.sandbox.resize(100, 40)
        assert "40 100" in (await shell.command("stty size"))[1]
        shell.sandbox.write(b"exit 7\r")
        await shell.rest()
        end = await shell.sandbox.wait_exit()
        assert (end.code, end.reason) == (7, "the shell in web/app ended with code 7")
        assert isinstance(shell.sandbox, KubernetesSandbox)
        assert shell.sandbox.protocol == "v4.channel.k8s.io"


@pytest.mark.docker
async def test_bash_is_preferred(cri_runtime: CriRuntime, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bash in the image the shell is a bash with marks."""
    container = await asyncio.to_thread(cri_runtime.start, "", WITH_BASH)
    async with api(containerd(cri_runtime, container), container, tmp_path, monkeypatch), opened("kubernetes:test/shop/web/app") as shell:
        await shell.prompt()
        assert (await shell.command("echo ${BASH_VERSION%%.*}-is-bash; (exit 2)"))[0] == 2
        assert b"-is-bash\r\n" in shell.output


@pytest.mark.docker
async def test_killed_under_the_viewers(cri_runtime: CriRuntime, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that its runtime kills ends the terminal for everyone, with the code and what became of the pod; restart says it too."""
    container = await asyncio.to_thread(cri_runtime.start)
    async with (
        api(containerd(cri_runtime, container), container, tmp_path, monkeypatch) as refused,
        serve(default="kubernetes:shop/web") as place,
        place.watch() as ana,
        place.watch(who="pia") as pia,
    ):
        await ana.running()
        refused["pod"] = 404
        await asyncio.to_thread(cri_runtime.stop, container)
        for viewer in (ana, pia):
            end = await viewer.message("exit")
            assert (end["code"], end["reason"]) == (137, "the pod web is gone: open the one that took its place")
        assert (await ana.ask("restart"))["ok"] is True
        assert "there is no pod web in namespace shop" in (await ana.message("upstream", state="failed"))["reason"]


@pytest.mark.docker
async def test_refusals(cri_runtime: CriRuntime, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent pod, a wrong container, a role without exec and a missing kubeconfig are one sentence each."""
    async with api(containerd(cri_runtime, "none"), "none", tmp_path, monkeypatch) as refused:
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


@pytest.mark.parametrize("speaks", [("v5.channel.k8s.io", "v4.channel.k8s.io"), ("v4.channel.k8s.io",)])
async def test_v5_is_taken_where_it_is_spoken(
    speaks: tuple[str, ...], opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are offered: a server of v5 answers with that, an older one with v4, and the shell is the same."""
    peer = Peer(speaks)
    async with api(peer, "c", tmp_path, monkeypatch), opened("kubernetes:shop/web", cols=91, rows=33) as shell:
        await shell.prompt()
        assert set(peer.chosen) == {speaks[0]}
        assert "33 91" in (await shell.command("stty size"))[1]
        await shell.sandbox.resize(100, 40)
        assert "40 100" in (await shell.command("stty size"))[1]
        shell.sandbox.write(b"exit 7\r")
        await shell.rest()
        assert (await shell.sandbox.wait_exit()).code == 7


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_a_command_without_a_terminal(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output and its errors come apart, with its exit code; v5 closes its output before the status, which is no output."""
    place = PodPlace("shop", "web", "app")
    async with api(Peer((protocol,)), "c", tmp_path, monkeypatch), KubernetesEngine() as engine:
        done = await engine.run(place, ["sh", "-c", "echo plain; echo wrong >&2; exit 3"], timeout=20)
        assert (done.exit_code, done.stdout, done.stderr) == (3, b"plain\n", b"wrong\n")


async def test_a_server_that_speaks_neither(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy drops what was offered, the sentence says what is missing."""
    async with api(Peer(("v1.channel.k8s.io",)), "c", tmp_path, monkeypatch):
        with pytest.raises(SandboxError, match=r"speaks none of v5\.channel\.k8s\.io, v4\.channel\.k8s\.io"):
            async with opened("kubernetes:shop/web"):
                pass
