"""The SandboxAddon of the npm `@cloudflare/sandbox`, stable and 1.0 preview, on our rooms."""

from __future__ import annotations

import pytest

from tests.terminal.conftest import Serve

from .conftest import OpenPage

STABLE = "@cloudflare/sandbox"
PREVIEW = "@cloudflare/sandbox-next"
ADDONS = [(STABLE, "cloudflare"), (PREVIEW, "cloudflare-1")]
ROOM = "/parties/terminal-server/w1?dialect="


@pytest.mark.parametrize(("package", "dialect"), ADDONS)
async def test_it_connects_types_sees_resizes_and_hears_the_exit(serve: Serve, page: OpenPage, package: str, dialect: str) -> None:
    """The addon, unmodified, opens a shell, types, shows the output, sets the size, and says with which code the shell ended."""
    async with serve() as place, page(package, place.url, ROOM + dialect) as addon:
        await addon.tell("connect")
        await addon.event("state", state="connected", error="")
        await addon.tell("type", "echo seen-$((20+22))-é\r")
        await addon.shows("seen-42-é")
        async with place.watch() as ana:
            await addon.tell("resize", [101, 33])
            if (await ana.message("welcome"))["size"]["cols"] != 101:
                await ana.message("resize", cols=101, rows=33, by="Pia")
        await addon.tell("type", "stty size\r")
        await addon.shows("33 101")
        await addon.tell("type", "exit 3\r")
        await addon.event("state", error="Session exited with code 3")
        assert not [event for event in addon.seen if event["event"] == "state" and event["error"] not in ("", "Session exited with code 3")]


@pytest.mark.parametrize(("package", "dialect"), ADDONS)
async def test_who_comes_late_sees_the_screen(serve: Serve, page: OpenPage, package: str, dialect: str) -> None:
    """An addon that joins a shell with output shows that screen, and what others type from then on."""
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        await pia.type("echo early-$((1+1))\r")
        await pia.shows(b"early-2")
        async with page(package, place.url, ROOM + dialect) as addon:
            await addon.tell("connect")
            await addon.event("state", state="connected", error="")
            await addon.shows("early-2")
            await pia.type("echo later-$((2+2))\r")
            await addon.shows("later-4")


@pytest.mark.parametrize(("package", "dialect"), ADDONS)
async def test_a_cut_line_is_made_good(serve: Serve, page: OpenPage, package: str, dialect: str) -> None:
    """The addon's own reconnection, after a line that broke, shows what came meanwhile and all before once; 1.0 asks by cursor."""
    async with serve() as place, place.watch(who="pia") as pia, page(package, place.url, ROOM + dialect, reconnect=True) as addon:
        await pia.running()
        await addon.tell("connect")
        await addon.event("state", state="connected")
        await addon.tell("type", "echo before-$((1+1))\r")
        await addon.shows("before-2")
        await addon.tell("cut")
        await addon.event("close", code=1006)
        await pia.type("echo between-$((2+2))\r")
        await pia.shows(b"between-4")
        assert bool((await addon.event("url"))["cursor"]) is (package == PREVIEW)
        await addon.event("state", state="connected", error="")
        await addon.shows("between-4")
        assert addon.text.count("before-2") == 1


@pytest.mark.parametrize(("package", "dialect"), ADDONS)
async def test_a_sandbox_that_cannot_start_is_told(serve: Serve, page: OpenPage, package: str, dialect: str) -> None:
    """The addon's page gets the room's sentence as its error, and the socket closes with 1011."""
    async with serve(default="local:/no/such/shell") as place, page(package, place.url, ROOM + dialect) as addon:
        await addon.tell("connect")
        await addon.event("close", code=1011)
        said = [event["error"] for event in addon.seen if event["event"] == "state" and event["error"]]
        assert said
        assert "/no/such/shell" in said[0]
