"""The terminal room over real sockets, with real shells."""

from __future__ import annotations

import asyncio
import os
import re
import signal

import httpx
import psutil
import pytest

from partywidgets.party import Grant
from partywidgets.terminal.settings import TerminalSettings

from .conftest import Serve

PRE_STYLE = ' style="margin:0;font-family:monospace;line-height:1.2"'
SPANS = re.compile(r"<(span)( style=\"[a-z0-9#;:. -]+\")>")


async def test_connection_upgrade_works_and_the_shell_answers(serve: Serve) -> None:
    """A rich viewer is welcomed, gets a screen, types, and sees the echo and the answer."""
    async with serve() as place, place.watch() as ana:
        welcome = await ana.message("welcome")
        assert welcome["role"] == "moderator"
        assert welcome["can_type"] is True
        assert welcome["resumed"] is False
        assert welcome["host_id"] == "h1"
        assert welcome["sandbox"] == "default"
        assert welcome["screen"] == "exact"
        await ana.live()
        await ana.running()
        await ana.type("echo $((40+2))-answered\r")
        await ana.shows(b"42-answered")


async def test_plain_viewer_gets_text_frames_and_types_text(serve: Serve) -> None:
    """Without a subprotocol a viewer gets text frames only, the first a reset with the screen, and its text is keystrokes."""
    async with serve() as place, place.watch(dialect=None) as ana:
        await ana.until(lambda: "633;B;" in ana.text)
        assert ana.text.startswith("\x1bc")
        assert all(isinstance(frame, str) for frame in ana.frames)
        await ana.type("printf 'h\\303\\251\\n'; echo $((1+1))x\r")
        await ana.shows("hé".encode())
        await ana.shows(b"2x")
        await ana.type(b"echo binary-$((2+2))\r")
        await ana.shows(b"binary-4")


async def test_all_viewers_share_one_shell(serve: Serve) -> None:
    """Three viewers of three dialects see the output of one shell; there is one process."""
    async with serve() as place, place.watch() as ana, place.watch(who="obi", dialect=None) as obi:
        await ana.running()
        async with place.watch(who="ben", dialect=None, query="?dialect=cloudflare") as ben:
            await ben.message("ready")
            await ana.type("echo $$-is-the-shell\r")
            await ana.shows(b"-is-the-shell\r\n")
            await obi.until(lambda: "-is-the-shell\r\n" in obi.text)
            await ben.until(lambda: b"-is-the-shell\r\n" in ben.output)


async def test_observer_cannot_type(serve: Serve) -> None:
    """What an observer sends reaches no process and is counted; nobody is told off for it."""
    async with serve() as place, place.watch() as ana, place.watch(who="obi", dialect=None) as obi:
        await ana.running()
        for _ in range(50):
            await obi.type("touch /tmp/never\r")
        room = await place.room("w1")
        async with asyncio.timeout(20):
            while room.audit.counts["input-dropped"] < 50:
                await asyncio.sleep(0.01)
        await ana.type("echo done-$((3+3))\r")
        await ana.shows(b"done-6")
        assert b"never" not in ana.drawn()
        assert room.audit.counts["input-dropped"] == 50


async def test_lease_is_taken_by_typing_and_refused_to_another(serve: Serve) -> None:
    """The first operator who types has the lease; another's input is dropped until it is given."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="cyd") as cyd:
        await ben.running()
        await ben.type("echo from-ben\r")
        lease = await cyd.message("lease")
        assert lease["holder"]["name"] == "Ben"
        assert lease["can_type"] is False
        assert (await ben.message("lease"))["can_type"] is True
        await cyd.type("echo from-cyd\r")
        reply = await cyd.ask("send", text="echo from-cyd\r")
        assert reply["ok"] is False
        assert reply["error"].startswith("Ben has control")
        await cyd.tell("lease", action="take")
        assert "Ben has control" in (await cyd.message("error"))["message"]
        await ben.tell("lease", action="give", to=(await cyd.message("welcome"))["connection"])
        await cyd.message("lease", can_type=True)
        await cyd.type("echo cyd-$((4+4))\r")
        await ben.shows(b"cyd-8")
        assert b"from-cyd" not in ben.drawn()


async def test_whoever_names_a_lease_message_gets_its_reply(serve: Serve) -> None:
    """With an id a `lease` gets one reply, behind the change that it made; without one its refusal is an `error`, as before."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="cyd") as cyd:
        await ben.running()
        taken = await ben.ask("lease", action="take")
        assert (taken["ok"], taken["result"]) == (True, {})
        assert ben.of("lease")[-1]["holder"]["name"] == "Ben"
        refused = await cyd.ask("lease", action="take")
        assert (refused["ok"], refused["error"][:15]) == (False, "Ben has control")
        assert not cyd.of("error")
        await cyd.tell("lease", action="take")
        assert "Ben has control" in (await cyd.message("error"))["message"]


async def test_a_request_that_is_malformed_gets_its_reply(serve: Serve) -> None:
    """A message with an id is answered by it, also where it cannot be understood; one without gets an `error`."""
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        for kind, fields in (("run", {"command": 5}), ("lease", {"action": "steal"}), ("dance", {})):
            reply = await pia.ask(kind, **fields)
            assert reply["ok"] is False
            assert kind in reply["error"]
        assert not pia.of("error")
        await pia.tell("lease", action="steal")
        assert "steal" in (await pia.message("error"))["message"]


async def test_moderator_takes_over_and_a_peer_needs_no_lease(serve: Serve) -> None:
    """A moderator's explicit take-over always works; a peer types whoever holds the lease."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="ana") as ana, place.watch(who="pia") as pia:
        await ben.running()
        await ben.type("echo b\r")
        await ana.message("lease")
        await ana.tell("lease", action="take")
        await ana.until(lambda: ana.of("lease")[-1]["holder"]["name"] == "Ana")
        await pia.type("echo pia-$((5+5))\r")
        await ben.shows(b"pia-10")


async def test_who_has_the_lease_leaves(serve: Serve) -> None:
    """The lease is free again when its holder's last connection ends, and all are told."""
    async with serve() as place, place.watch(who="cyd") as cyd:
        async with place.watch(who="ben") as ben:
            await ben.running()
            await ben.type("echo b\r")
            await cyd.message("lease", can_type=False)
        await cyd.until(lambda: cyd.of("lease")[-1]["holder"] is None)
        assert cyd.of("presence")[-1]["people"] == [
            {"connection": cyd.of("welcome")[0]["connection"], "name": "Cyd", "role": "operator", "subject": "cyd"}
        ]


async def test_other_sandbox_is_refused_with_4409(serve: Serve) -> None:
    """Another sandbox id than the open one closes 4409 with a reason; the terminal goes on."""
    async with serve(default="local:/bin/bash", other="local:/bin/dash") as place, place.watch() as ana:
        await ana.running()
        async with place.watch(query="?sandboxId=other") as late:
            code, reason = await late.gone()
        assert code == 4409
        assert "default" in reason
        await ana.type("echo still-$((1+1))\r")
        await ana.shows(b"still-2")


async def test_a_room_with_a_sandbox_s_name(serve: Serve) -> None:
    """It opens on that sandbox for who names none: on the default one it shut out the remedies that run in the room of that name."""
    async with serve(default="local:/bin/bash", web="local:/bin/dash", keep=0.0) as place:
        async with place.watch("web") as ana, place.watch("web", query="?sandboxId=web") as ben:
            await ana.running()
            await ben.running()
            assert ana.of("welcome")[-1]["sandbox"] == "web"
            await ana.type("exit\r")
            await ana.message("exit")
        async with place.watch("web", query="?sandboxId=default") as ana:
            await ana.running()
            await ana.type("exit\r")
            await ana.message("exit")
        async with place.watch("web") as ana:
            await ana.running()
            assert ana.of("welcome")[-1]["sandbox"] == "default"


async def test_a_room_keeps_its_sandbox(serve: Serve) -> None:
    """Who names none gets the one that the room had, after its shell ended and after a restart of the host; where the host no longer knows
    it, a sentence says so and no other shell opens. Naming one changes it, and one that never ran is not kept."""
    both = {"default": "local:/bin/bash", "web": "local:/bin/dash"}
    async with serve(**both, keep=0.0) as place:
        async with place.watch(query="?sandboxId=web") as ana:
            await ana.running()
            await ana.type("exit\r")
            await ana.message("exit")
        async with place.watch(query="?sandboxId=nope") as ana:
            await ana.message("upstream", state="failed")
        async with place.watch() as ana:
            await ana.running()
            assert ana.of("welcome")[-1]["sandbox"] == "web"
    async with serve(**both) as place, place.watch() as ana:
        await ana.running()
        assert ana.of("welcome")[-1]["sandbox"] == "web"
    async with serve(default="local:/bin/bash") as place:
        async with place.watch() as ana:
            failed = await ana.message("upstream", state="failed")
            assert "no sandbox has the id 'web'" in failed["reason"]
            assert "it is the one that this room had last" in failed["reason"]
        async with place.watch(query="?sandboxId=default") as ana:
            await ana.running()
    async with serve(**both) as place, place.watch() as ana:
        await ana.running()
        assert ana.of("welcome")[-1]["sandbox"] == "default"


async def test_unknown_sandbox_fails_in_one_sentence(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """An id that no config names gives the state `failed`, with the ids that there are, and a line in the log; a right id works then."""
    async with serve() as place:
        async with place.watch(query="?sandboxId=nope") as ana, place.watch(dialect=None, query="?sandboxId=nope") as plain:
            failed = await ana.message("upstream", state="failed")
            assert "'nope'" in failed["reason"]
            assert "default" in failed["reason"]
            await plain.until(lambda: "nope" in plain.text)
        assert f"the sandbox nope could not be opened: {failed['reason']}" in caplog.text
        async with place.watch() as ana:
            await ana.running()


async def test_grant_without_a_terminal_role_sees_nothing(serve: Serve) -> None:
    """A grant for ops alone is closed with 4403 and gets no byte of the terminal; nothing starts."""
    async with serve() as place, place.watch(who="ops") as ops:
        assert (await ops.gone())[0] == 4403
        assert ops.frames == []
        assert (await place.room("w1")).upstream.state == "idle"


async def test_exit_code_reaches_every_viewer_and_restart_works(serve: Serve) -> None:
    """The shell's end with its code comes to every dialect; restart begins a new epoch with a live shell."""
    async with (
        serve() as place,
        place.watch() as ana,
        place.watch(dialect=None) as plain,
        place.watch(who="obi") as obi,
        place.watch(who="ben") as ben,
    ):
        await ana.running()
        epoch = ana.of("welcome")[0]["epoch"]
        await ana.type("exit 7\r")
        assert (await ana.message("exit"))["code"] == 7
        assert (await obi.message("exit"))["reason"] == "the shell ended with code 7"
        assert (await ana.message("upstream", state="ended"))["reason"] == "the shell ended with code 7"
        await plain.until(lambda: "the shell ended with code 7" in plain.text)
        for person, role in ((obi, "observer"), (ben, "operator")):
            refused = await person.ask("restart")
            assert refused["error"] == f"restart needs the role peer or moderator; this connection is {role}"
        assert (await ana.ask("restart"))["ok"] is True
        again = await ana.until(lambda: ana.of("welcome")[1:] and ana.of("welcome")[1])
        assert again["epoch"] != epoch
        await ana.type("echo alive-$((6+6))\r")
        await ana.shows(b"alive-12")
        await plain.until(lambda: "alive-12" in plain.text)


async def test_plain_viewer_restarts_with_enter(serve: Serve) -> None:
    """After the end, Enter in a plain terminal starts a new shell; other keys do nothing."""
    async with serve() as place, place.watch(dialect=None) as plain:
        await plain.until(lambda: "633;B;" in plain.text)
        await plain.type("exit\r")
        await plain.until(lambda: "press Enter" in plain.text)
        seen = len(plain.text)
        await plain.type("x")
        await plain.type("\r")
        await plain.until(lambda: "633;B;" in plain.text[seen:])


async def test_who_may_not_restart_is_not_told_to_press_enter(serve: Serve) -> None:
    """After the end, a plain terminal tells an operator and an observer who can start it again; their Enter does nothing, a peer's does."""
    async with (
        serve() as place,
        place.watch(who="ben", dialect=None) as ben,
        place.watch(who="obi", dialect=None) as obi,
        place.watch(who="pia", dialect=None) as pia,
    ):
        await ben.until(lambda: "633;B;" in ben.text)
        await ben.type("exit 3\r")
        await ben.until(lambda: "ended with code 3; a peer or a moderator can start it again]" in ben.text)
        await obi.until(lambda: "ended with code 3; a peer or a moderator can start it again]" in obi.text)
        assert "press Enter" not in ben.text + obi.text
        await pia.until(lambda: "ended with code 3; press Enter to start it again]" in pia.text)
        epoch = (await place.room("w1")).stream.epoch
        await ben.type("\r")
        async with place.watch(who="obi") as later:
            assert (await later.message("welcome"))["epoch"] == epoch
            await pia.type("\r")
            await later.message("upstream", state="running")


async def test_who_may_restart_a_failed_start_is_told_how(serve: Serve) -> None:
    """A sandbox that could not be opened is told with its reason and, each by their role, how it is tried again."""
    async with (
        serve(default="local:/no/such/shell") as place,
        place.watch(who="ben", dialect=None) as ben,
        place.watch(who="pia", dialect=None) as pia,
    ):
        await ben.until(lambda: "/no/such/shell" in ben.text and "a peer or a moderator can start it again]" in ben.text)
        await pia.until(lambda: "press Enter to start it again]" in pia.text)
        seen = len(pia.text)
        await pia.type("\r")
        await pia.until(lambda: "press Enter to start it again]" in pia.text[seen:])


async def test_killed_shell_is_never_shown_alive(serve: Serve) -> None:
    """A shell that is killed from outside ends the room's terminal with the signal's name."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type("echo pid:$$:\r")
        pid = int((await ana.until(lambda: re.search(rb"pid:(\d+):", ana.output)))[1])
        os.kill(pid, signal.SIGKILL)
        end = await ana.message("exit")
        assert end["code"] == 137
        assert end["reason"] == "the shell was ended by SIGKILL"
        assert not psutil.pid_exists(pid)


async def test_reconnection_resumes_at_the_byte(serve: Serve) -> None:
    """Coming back with epoch and offset, a viewer gets exactly what it missed; with a foreign epoch, a screen."""
    async with serve() as place, place.watch(who="obi") as obi:
        async with place.watch() as ana:
            await ana.running()
            epoch, offset = ana.of("welcome")[0]["epoch"], ana.offset
        async with place.watch(who="pia") as pia:
            await pia.message("welcome")
            await pia.type("echo missed-$((7+7))\r")
            await obi.shows(b"missed-14")
        async with place.watch(query=f"?epoch={epoch}&offset={offset}") as back:
            welcome = await back.message("welcome")
            assert welcome["resumed"] is True
            assert welcome["offset"] == offset
            await back.shows(b"missed-14")
            assert back.screens == []
        async with place.watch(query=f"?epoch=other&offset={offset}") as stranger:
            assert (await stranger.message("resync"))["reason"] == "epoch"
            await stranger.shows(b"missed-14")


async def test_resize_by_the_controller_reaches_the_shell_and_all(serve: Serve) -> None:
    """The controller's size becomes the terminal's, clamped, with the offset it counts from; an observer's does nothing."""
    async with serve() as place, place.watch(query="?cols=90&rows=25") as ana, place.watch(who="obi") as obi:
        await ana.running()
        assert ana.of("welcome")[0]["size"] == {"cols": 90, "rows": 25, "by": "Ana"}
        await obi.tell("resize", cols=33, rows=11)
        await ana.tell("resize", cols=100, rows=2)
        await ana.tell("resize", cols=101, rows=3)
        told = await obi.message("resize")
        assert (told["cols"], told["rows"], told["by"]) == (101, 5, "Ana")
        await ana.type("stty size\r")
        await ana.shows(b"5 101")
        assert [message["cols"] for message in obi.of("resize")] == [101]


async def test_who_opens_it_without_a_window_leaves_the_size_to_the_first_page(serve: Serve) -> None:
    """A cell's `run` has no window: the size that the terminal began with is nobody's, and a window that comes gives its own."""
    async with serve() as place, place.watch() as cell:
        await cell.running()
        assert cell.of("welcome")[0]["size"]["by"] == ""
        async with place.watch(query="?cols=90&rows=25") as page:
            assert (await page.message("welcome"))["size"]["by"] == ""
            await page.tell("resize", cols=90, rows=25)
            assert (await page.message("resize"))["by"] == "Ana"


async def test_kept_after_the_last_viewer_left_and_then_closed(serve: Serve) -> None:
    """A terminal outlives its viewers for `keep` seconds, then its process ends."""
    async with serve(keep=3600.0) as place:
        async with place.watch() as ana:
            await ana.running()
            await ana.type("MARK=kept-$((8+8))\r")
            await ana.ask("send", text="echo pid:$$:\r")
            pid = int((await ana.until(lambda: re.search(rb"pid:(\d+):", ana.output)))[1])
        room = await place.room("w1")
        assert psutil.pid_exists(pid)
        async with place.watch() as ana:
            await ana.message("welcome", state="running")
            await ana.type("echo $MARK\r")
            await ana.shows(b"kept-16")
            place.settings.keep = 0.0
        async with asyncio.timeout(20):
            while room.upstream.alive or psutil.pid_exists(pid):
                await asyncio.sleep(0.01)
        assert room.upstream.state == "ended"


async def test_http_get_tells_the_state_and_nothing_else_is_allowed(serve: Serve) -> None:
    """GET answers state, size, people and the screen to who has a terminal role; POST is 405; an ops grant is 403."""
    async with serve() as place, place.watch() as ana, httpx.AsyncClient() as http:
        await ana.running()
        await ana.type("echo on-screen-$((9+9))\r")
        await ana.shows(b"on-screen-18")
        url = f"{place.url}/parties/terminal-server/w1"
        answer = (await http.get(url, headers={"Authorization": "Bearer obi-token-for-the-tests"})).json()
        assert answer["state"] == "running"
        assert answer["people"] == 1
        assert "on-screen-18" in answer["screen"]
        assert (await http.post(url, headers={"Authorization": "Bearer ana-token-for-the-tests"})).status_code == 405
        assert (await http.get(url, headers={"Authorization": "Bearer ops-token-for-the-tests"})).status_code == 403


async def test_screen_reply_as_text_and_script_free_html(serve: Serve) -> None:
    """`screen` answers text, or HTML in which what a program printed stays text."""
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        await pia.ask(
            "run", command=r"printf '<script>alert(1)</script>\n\033]8;;javascript:alert(2)\033\\link\033]8;;\033\\\n'", timeout_s=60
        )
        text = (await pia.ask("screen", format="text"))["result"]["text"]
        assert "<script>alert(1)</script>" in text
        page = (await pia.ask("screen", format="html"))["result"]["html"]
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert set(re.findall(r"<(/?\w+)([^>]*)>", page)) <= {("pre", PRE_STYLE), ("/pre", ""), ("/span", ""), *SPANS.findall(page)}
        assert ">link" in page or "\nlink" in page


async def test_unknown_messages_get_an_error_and_the_room_goes_on(serve: Serve) -> None:
    """A message that nobody understands is answered with one sentence; the next one works."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.tell("dance")
        assert (await ana.message("error"))["message"] == "unknown message type 'dance'"
        await ana.socket.send("not json")
        await ana.socket.send(b"\x09nonsense")
        await ana.tell("resize", cols="wide", rows=3)
        await ana.until(lambda: len(ana.of("error")) == 4)
        assert (await ana.ask("run", command="echo fine", timeout_s=60))["result"]["output"] == "fine"


@pytest.mark.parametrize("dialect", [None, "partywidgets.plain.v1", "partywidgets.v1"])
async def test_subprotocols_that_mean_plain(serve: Serve, dialect: str | None) -> None:
    """None, plain.v1 and v1 are the same dialect."""
    async with serve() as place, place.watch(dialect=dialect) as ana:
        assert ana.socket.subprotocol == dialect
        await ana.until(lambda: "633;B;" in ana.text)
        assert all(isinstance(frame, str) for frame in ana.frames)


async def test_resume_ticket_is_given_and_released(serve: Serve) -> None:
    """A rich viewer gets a ticket made for its grant and this room; it is released when its socket closes. Plain viewers get none."""
    settings = TerminalSettings(sandboxes={"default": "local:/bin/bash"})
    issued, released = [], asyncio.Queue[str]()

    def issue(grant: Grant, party: str, room: str) -> tuple[str, float]:
        issued.append((grant.subject, party, room))
        return f"ticket-of-{grant.subject}", 600.0

    settings.issue_ticket, settings.release_ticket = issue, released.put_nowait
    async with serve(settings) as place, place.watch(who="pia", dialect=None) as pia:
        await pia.until(lambda: "633;B;" in pia.text)
        async with place.watch(who="ben") as ben:
            assert await ben.message("ticket") == {"type": "ticket", "ticket": "ticket-of-ben", "expires_in": 600.0}
        async with asyncio.timeout(20):
            assert await released.get() == "ticket-of-ben"
    assert issued == [("ben", "terminal-server", "w1")]


async def test_whoever_asked_and_left_leaves_the_command_running(serve: Serve) -> None:
    """When the caller of `run` disconnects, the command goes on for the others and its end is kept under the caller's name."""
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        async with place.watch(who="ana") as ana:
            await ana.tell("run", id="q", command="read x; echo went-on-$x", timeout_s=None)
            await pia.message("mark", kind="start")
        await pia.type("yes\r")
        end = await pia.message("mark", kind="end")
        assert (end["actor"], end["exit_code"]) == ("Ana", 0)
        assert (await pia.ask("run", command="echo next", timeout_s=60))["result"]["output"] == "next"


async def test_keystrokes_typed_while_it_starts_arrive(serve: Serve) -> None:
    """What is typed before the shell runs waits for it."""
    async with serve() as place, place.watch() as ana:
        await ana.message("welcome")
        await ana.type("echo early-$((2+3))\r")
        await ana.shows(b"early-5")
