"""Terminals of a real Jupyter Server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes import open_sandbox, parse_address
from tests.jupyter_process import TOKEN, Jupyter, jupyter_server
from tests.terminal.conftest import Serve

from .conftest import Open


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A server below a base URL, with a token, as a Hub runs them."""
    with jupyter_server(
        tmp_path_factory.mktemp("jupyter"),
        "--ServerApp.base_url=/user/ana/",
        config="c.ServerApp.terminado_settings = {'shell_command': ['/bin/bash', '--norc', '--noprofile']}\n",
    ) as running:
        yield running


def address(jupyter: Jupyter, name: str, token: str = TOKEN) -> str:
    """Of a terminal there."""
    return f"jupyter+{jupyter.url.replace('http', 'ws')}terminals/websocket/{name}" + (f"?token={token}" if token else "")


async def test_a_terminal_of_jupyter_is_shared(serve: Serve, jupyter: Jupyter) -> None:
    """The terminal is made, both rooms' viewers see what one types, and `run` gives output and exit code."""
    async with (
        serve(default=address(jupyter, "shared"), also=address(jupyter, "shared")) as place,
        place.watch("w1", query="?cols=101&rows=33") as ana,
    ):
        await ana.live()
        await ana.type("echo here-$((20+22))-é\r")
        await ana.shows("here-42-é".encode())
        assert "shared" in [terminal["name"] for terminal in jupyter.as_owner("GET", "/api/terminals").json()]
        async with place.watch("w2", query="?cols=101&rows=33&sandboxId=also") as other:
            await other.shows("here-42-é".encode())
            await other.type("echo there-$((1+1))\r")
            await ana.shows(b"there-2")
            result = (await ana.ask("run", command="stty size; (exit 6)", timeout_s=20))["result"]
            assert (result["output"], result["exit_code"]) == ("33 101", 6)


async def test_two_rooms_at_once_have_one_terminal(serve: Serve, jupyter: Jupyter) -> None:
    """Rooms that open a terminal which is not there yet, at the same moment, share the one that is made."""
    async with (
        serve(default=address(jupyter, "twins"), also=address(jupyter, "twins")) as place,
        place.watch("w1") as ana,
        place.watch("w2", query="?sandboxId=also") as other,
    ):
        await ana.live()
        await other.live()
        await ana.type("echo one-$((1+1))\r")
        await ana.shows(b"one-2")
        await other.shows(b"one-2")


async def test_its_end_reaches_the_viewers_and_restart_makes_a_new_one(serve: Serve, jupyter: Jupyter) -> None:
    """Whether its shell exits or Jupyter shuts it down, viewers hear it; restart begins a new terminal of that name."""
    async with serve(default=address(jupyter, "ends")) as place, place.watch() as ana:
        await ana.live()
        await ana.type("exit 3\r")
        end = await ana.message("exit")
        assert end["code"] is None
        assert end["reason"].endswith("/terminals/websocket/ends ended")
        assert TOKEN not in end["reason"]
        assert (await ana.ask("restart"))["ok"] is True
        await ana.type("echo anew-$((1+1))\r")
        await ana.shows(b"anew-2")
        assert jupyter.as_owner("DELETE", "/api/terminals/ends").status == 204
        await ana.until(lambda: len(ana.of("exit")) == 2)


async def test_size_and_cut_characters(opened: Open, jupyter: Jupyter) -> None:
    """A new size counts there, and a character whose bytes come one by one arrives whole."""
    async with opened(address(jupyter, "sized"), cols=90, rows=30) as shell:
        await shell.sandbox.resize(100, 40)
        for byte in "echo \N{SNOWMAN}-$((1+1)); stty size\r".encode():
            shell.sandbox.write(bytes([byte]))
        await shell.until(lambda: b"40 100" in shell.output)
        assert "\N{SNOWMAN}-2" in shell.output.decode()


async def test_a_server_that_is_gone_is_told(opened: Open, tmp_path: Path) -> None:
    """When the Jupyter Server stops under an open terminal, its end says so; then there is nothing to connect to."""
    with jupyter_server(tmp_path) as doomed:
        place = address(doomed, "t1")
        async with opened(place) as shell:
            shell.sandbox.write(b"echo up-$((1+1))\r")
            await shell.until(lambda: b"up-2" in shell.output)
            doomed.process.terminate()
            await shell.rest()
            reason = (await shell.sandbox.wait_exit()).reason
        assert reason.startswith(("the Jupyter terminal at ", "the connection to the Jupyter Server of "))
        doomed.process.wait(30)
        with pytest.raises(SandboxError, match="no Jupyter Server answers at"):
            await open_sandbox(place, cols=80, rows=24)


@pytest.mark.parametrize("token", ["", "wrong-and-secret"])
async def test_without_the_right_token_it_names_the_option(jupyter: Jupyter, token: str) -> None:
    """A refused token is one sentence with the remedy, which does not repeat it."""
    with pytest.raises(SandboxError, match=r"refused the terminal jupyter\+ws://.*give its token as \?token=\$\{env:NAME\}") as raised:
        await open_sandbox(address(jupyter, "nobody", token), cols=80, rows=24)
    assert "wrong-and-secret" not in str(raised.value)


async def test_a_wrong_base_url_is_told(jupyter: Jupyter) -> None:
    """Where the server has no such route, the sentence asks for the base URL."""
    with pytest.raises(SandboxError, match="check its base URL"):
        await open_sandbox(address(jupyter, "nowhere").replace("/user/ana/", "/user/ana/no/"), cols=80, rows=24)


def test_an_unknown_option_is_refused() -> None:
    """A misspelt option is named, instead of the token being missed later."""
    with pytest.raises(SandboxError, match="has no option 'tocken': it has gone_after, token"):
        parse_address("jupyter+wss://127.0.0.1/terminals/websocket/t1?tocken=x")


@pytest.mark.parametrize("path", ["", "/", "/terminals/1", "/terminals/websocket/", "/terminals/websocket/a-b", "/terminals/websocket/a/b"])
def test_another_path_is_refused_before_anything_is_opened(path: str) -> None:
    """An address whose path is not a terminal's route is refused when it is read, a config's among them."""
    with pytest.raises(SandboxError, match="jupyter\\+ws://HOST:PORT/terminals/websocket/NAME"):
        parse_address(f"jupyter+ws://127.0.0.1:8888{path}?token=x")
