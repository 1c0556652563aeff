"""Real kernels: the extension's magics, a terminal, and the comm as a browser uses it."""

from __future__ import annotations

import ast
import json
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from partywidgets.exceptions import CommandError
from partywidgets.kernel import _seconds, logical_lines

from .jupyter_process import environ

TIMEOUT = 40.0


class Kernel:
    """A kernel without a Jupyter Server, and what it says on its outgoing channel."""

    def __init__(self, client: BlockingKernelClient, manager: KernelManager) -> None:
        self.client, self.manager = client, manager
        self.seen: list[dict[str, Any]] = []

    def next_message(self) -> dict[str, Any]:
        message: dict[str, Any] = self.client.get_iopub_msg(timeout=TIMEOUT)
        self.seen.append(message)
        return message

    def start(self, code: str) -> str:
        return str(self.client.execute(code))

    def finish(self, message_id: str) -> str:
        """What a cell printed and gave. Raises AssertionError with what it raised."""
        said, failed = "", ""
        position = 0
        while True:
            if position == len(self.seen):
                self.next_message()
            message = self.seen[position]
            position += 1
            content = message["content"]
            if message["parent_header"].get("msg_id") != message_id:
                continue
            if message["msg_type"] == "stream":
                said += content["text"]
            elif message["msg_type"] in ("execute_result", "display_data"):
                said += content["data"]["text/plain"] + "\n"
            elif message["msg_type"] == "error":
                failed = "\n".join(content["traceback"])
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                break
        if failed:
            raise AssertionError(failed)
        return said

    def run(self, code: str) -> str:
        return self.finish(self.start(code))

    def until(self, found: Callable[[dict[str, Any]], Any]) -> Any:
        """The first message, also of those seen before, of which `found` gives something."""
        position = 0
        while True:
            while position < len(self.seen):
                if (value := found(self.seen[position])) not in (None, False):
                    return value
                position += 1
            self.next_message()

    def send(self, comm: str, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """A custom message of a widget's page."""
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": {"method": "custom", "content": content}})
        self.client.session.send(self.client.shell_channel.socket, message, buffers=buffers)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    manager = KernelManager()
    manager.start_kernel(env=environ(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=TIMEOUT)
        yield Kernel(client, manager)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)
        manager.cleanup_resources()


def custom(comm: str, **wanted: Any) -> Callable[[dict[str, Any]], Any]:
    """Finds a custom message of the kernel to that page."""

    def found(message: dict[str, Any]) -> Any:
        if message["msg_type"] != "comm_msg" or message["content"]["comm_id"] != comm:
            return None
        content = message["content"]["data"].get("content")
        if not isinstance(content, dict) or any(content.get(name) != value for name, value in wanted.items()):
            return None
        return {**content, "buffers": [bytes(buffer) for buffer in message.get("buffers", [])]}

    return found


def stream(message: dict[str, Any], cell: str, words: str) -> str | None:
    """What a cell printed, where it has these words."""
    if message["msg_type"] != "stream" or message["parent_header"].get("msg_id") != cell:
        return None
    text = str(message["content"]["text"])
    return text if words in text else None


@pytest.mark.parametrize(
    ("cell", "commands"),
    [
        ("ls\n\n# a remark\n   # another\n  pwd\n", ["ls", "  pwd"]),
        ("echo a \\\n  b\npwd", ["echo a \\\n  b", "pwd"]),
        ("echo a\\\\\npwd", ["echo a\\\\", "pwd"]),
        ("echo a\\\\\\\nb\npwd", ["echo a\\\\\\\nb", "pwd"]),
        ("ls\necho a \\\n", ["ls", "echo a "]),
        ("for i in 1 2; do\n  # both\n  echo $i\ndone\nls", ["for i in 1 2; do\n  # both\n  echo $i\ndone", "ls"]),
        ("cat <<END\n# text\n\nEND\nls", ["cat <<END\n# text\n\nEND", "ls"]),
        ("echo 'a\nb'", ["echo 'a\nb'"]),
        (" \n# nothing\n", []),
    ],
)
def test_the_commands_of_a_cell(cell: str, commands: list[str]) -> None:
    """One after the other, each with the lines that bash takes for its own."""
    assert list(logical_lines(cell)) == commands


def test_a_cell_that_ends_in_the_middle_of_a_command() -> None:
    """The shell would wait for the rest: nothing of it is typed."""
    with pytest.raises(CommandError, match=r"the command that begins with 'if true; then' does not end in this cell"):
        list(logical_lines("ls\nif true; then\n  ls\n"))


@pytest.mark.parametrize(("text", "seconds"), [("30", 30.0), ("1.5", 1.5), ("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0)])
def test_the_time_that_a_command_may_take(text: str, seconds: float) -> None:
    """In seconds, or as a config writes it."""
    assert _seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.2.3"])
def test_a_time_that_is_none(text: str) -> None:
    """It is one sentence with what to write."""
    with pytest.raises(ArgumentTypeError, match=r"it takes seconds, or a time such as 30s or 5m; got "):
        _seconds(text)


def test_a_command_in_an_own_host(kernel: Kernel) -> None:
    """%load_ext, a Terminal, and run() gives the exit code of the visible shell, in a host that this kernel started."""
    assert kernel.run("%load_ext partywidgets") == ""
    kernel.run("import partywidgets as pw\nterm = pw.Terminal('w1')")
    assert kernel.run("term").strip() == "Terminal(room='w1')"
    assert kernel.run("result = await term.run('echo hi; false'); print(result.output.strip(), result.exit_code)").strip() == "hi 1"
    assert kernel.run("print(term.run('echo again').wait().ok)").strip() == "True"
    assert "again" in kernel.run("print(term.screen())")
    assert ast.literal_eval(kernel.run("(await term.history()).command.tolist()")) == ["echo hi; false", "echo again"]


def test_loading_starts_nothing(kernel: Kernel) -> None:
    """%load_ext starts neither a host nor a thread; the first widget does."""
    code = "import threading; print([thread.name for thread in threading.enumerate() if thread.name.startswith('partywidgets')])"
    kernel.run("%load_ext partywidgets")
    assert kernel.run(code).strip() == "[]"
    kernel.run("import partywidgets as pw; term = pw.Terminal('x')")
    assert "partywidgets-rooms" in kernel.run(code)


def test_mistakes_are_one_sentence(kernel: Kernel) -> None:
    """A wrong keyword names the right one, without a traceback; so does a host that is not there."""
    with pytest.raises(AssertionError) as wrong:
        kernel.run("import partywidgets as pw; pw.Terminal('w1', sandbx='local')")
    assert str(wrong.value) == "KeywordError: Terminal() has no keyword 'sandbx': did you mean 'sandbox'?"
    with pytest.raises(AssertionError, match=r"^HostError: no host answers at http://127.0.0.1:1 .*partywidgets serve") as gone:
        kernel.run("pw.connect('http://127.0.0.1:1')")
    assert "Traceback" not in str(gone.value)
    with pytest.raises(AssertionError, match="partywidgets has no 'Terminals'"):
        kernel.run("pw.Terminals")


def test_a_magic_with_wrong_words_says_what_to_write(kernel: Kernel) -> None:
    """One sentence for each, no traceback, and nothing is opened; quotes around a room's name are not part of it."""
    kernel.run("%load_ext partywidgets")
    told = kernel.run(
        """
import contextlib, io
for line, cell in [
    ("--sanbox web", None), ("m2 web", None),
    ("'m2", None), ("m2 --timeout 5", None), ("m2 -t soon", "ls"), ("m2 -t -1", "ls"), ("m2 ls", "-l"),
    ("docker:web-1", None),
]:
    try:
        get_ipython().run_line_magic("terminal", line) if cell is None else get_ipython().run_cell_magic("terminal", line, cell)
    except Exception as error:
        print(type(error).__name__, error)
    else:
        print("nothing said of", line)
try:
    get_ipython().run_line_magic("ops", "a.yaml b.yaml")
except Exception as error:
    print(error)
"""
    ).strip()
    assert told.split("\n") == [
        "UsageError %terminal has no use for '--sanbox': did you mean '--sandbox'?",
        "UsageError %terminal has no use for 'web': it takes one room; a machine is --sandbox NAME, and a command stands in a cell "
        "below %%terminal",
        'UsageError %terminal: a quote in "\'m2" is not closed',
        "UsageError --timeout, --inside and --quiet are for commands: write %%terminal, with the commands below it",
        "UsageError argument --timeout/-t: it takes seconds, or a time such as 30s or 5m; got 'soon'",
        "UsageError argument --timeout/-t: it takes seconds, or a time such as 30s or 5m; got '-1'",
        "UsageError %terminal has no use for 'ls': it takes one room; a machine is --sandbox NAME, and a command stands in a cell "
        "below %%terminal",
        "KeywordError Terminal('docker:web-1'): that is a sandbox's address and no name: write Terminal(NAME, sandbox='docker:web-1')",
        "%ops has no use for 'b.yaml': it takes one config",
    ]
    assert kernel.run('%%terminal "two words" -t 1m\necho in-$((6*7))').strip() == "in-42"
    assert kernel.run('%terminal "two words"').strip() == "Terminal(room='two words')"


def test_cell_magic_fails_with_the_command(kernel: Kernel) -> None:
    """%%terminal runs the cell's lines in the room and stops at the first that fails."""
    kernel.run("%load_ext partywidgets")
    assert kernel.run("%%terminal m1\n# a comment\ncd /tmp\npwd").strip() == "/tmp"
    with pytest.raises(AssertionError, match=r"CommandError: 'ls /no/such/folder' ended with exit code [12] in the terminal 'm1'"):
        kernel.run("%%terminal m1\nls /no/such/folder\necho never")
    assert "never" not in kernel.run("import partywidgets as pw; print(pw.Terminal('m1').screen())")
    assert kernel.run("%terminal m1").strip() == "Terminal(room='m1')"
    with pytest.raises(AssertionError, match="CommandError: the command that begins with 'if true; then' does not end in this cell"):
        kernel.run("%%terminal m1\necho first\nif true; then\n  echo second")
    assert "first" not in kernel.run("print(pw.Terminal('m1').screen())")
    lines = [
        "for n in 1 2; do",
        "  # a comment",
        "  echo loop-$n",
        "done",
        "cat <<END",
        "here $HOME",
        "END",
        "echo 'two",
        "lines'; test 1 = 2",
    ]
    with pytest.raises(AssertionError, match=r"CommandError: \"echo 'two.nlines'; test 1 = 2\" ended with exit code 1"):
        kernel.run("%%terminal m1 --quiet\n" + "\n".join(lines))
    assert kernel.run("%%terminal m1\n" + "\n".join(lines[:4])).split() == ["loop-1", "loop-2"]


def test_a_cell_says_what_its_command_waits_for(kernel: Kernel) -> None:
    """A cell that awaits a question says so below itself; interrupted it says what goes on, and interrupt() ends that."""
    kernel.run("%load_ext partywidgets\nimport partywidgets as pw\nterm = pw.Terminal('q1')")
    cell = kernel.start("asked = term.run(\"read -p 'go''on? ' x; echo got-$x\")\nanswer = await asked\nprint(answer.output)")
    said = kernel.until(lambda message: stream(message, cell, "it seems to wait for somebody in the terminal"))
    assert "shows 'goon?'" in said
    kernel.manager.interrupt_kernel()
    assert "goes on in the terminal 'q1': interrupt() presses Ctrl-C there" in kernel.until(
        lambda message: stream(message, cell, "goes on")
    )
    with pytest.raises(AssertionError):
        kernel.finish(cell)
    assert kernel.run("await term.interrupt()\nprint((await asked).exit_code)").strip() == "130"
    kernel.run("again = term.run(\"read -p 're''ally? ' x; echo got-$x\")\nawait term.expect('really')\nawait term.send('yes\\r')")
    assert kernel.run("print((await again).output)").strip().endswith("got-yes")


def test_unloading_undoes_everything(kernel: Kernel) -> None:
    """%unload_ext takes the magics and the event away, %reload_ext brings them back."""
    registered = "len(get_ipython().events.callbacks['post_run_cell']), 'ops' in get_ipython().magics_manager.magics['line']"
    before = kernel.run(registered)
    kernel.run("%load_ext partywidgets")
    assert kernel.run(registered) != before
    kernel.run("%unload_ext partywidgets")
    assert kernel.run(registered) == before
    kernel.run("%reload_ext partywidgets")
    assert kernel.run(registered) != before


CONFIG = """
checks:
  - { id: runs, type: exec, command: ["true"] }
  - { id: fails, type: exec, command: ["sh", "-c", "echo broken; exit 2"], severity: high }
"""


def test_ops_from_a_cell(kernel: Kernel, tmp_path: Path) -> None:
    """pw.ops loads a config, scan() gives the report, a @pw.check function of the kernel is offered by itself and runs with it."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    kernel.run("%load_ext partywidgets\nimport partywidgets as pw")
    assert kernel.run(f"ops = await pw.ops({str(tmp_path / 'c.yaml')!r}); ops").strip() == "OpsDashboard(room='main')"
    assert ast.literal_eval(kernel.run("dict((await ops.scan()).counts)")) == {"ok": 1, "warn": 0, "crit": 1, "unknown": 0, "skip": 0}
    kernel.run("@pw.check\ndef seven():\n    return pw.Result('warn', 'seven wait')")
    assert ast.literal_eval(kernel.run("dict((await ops.scan()).counts)")) == {"ok": 1, "warn": 1, "crit": 1, "unknown": 0, "skip": 0}
    said = kernel.run("ops.snapshot()")
    assert said.splitlines()[0] == "1 ok, 1 warn, 1 crit"
    assert "seven wait" in said
    assert ast.literal_eval(kernel.run("ops.df.check_id.tolist()"))[0] == "fails"
    (tmp_path / "c.yaml").write_text("\nchecked: []\n")
    with pytest.raises(AssertionError, match=r"ConfigError: .*c\.yaml:2:\d+"):
        kernel.run(f"await pw.ops({str(tmp_path / 'c.yaml')!r})")


def test_a_refused_check_is_told_in_its_cell(kernel: Kernel, tmp_path: Path) -> None:
    """A check whose id is somebody else's: the cell that defines it says so, %ops says so again, and a free id makes it good."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    kernel.run("%load_ext partywidgets\nimport partywidgets as pw")
    kernel.run(f"ops = await pw.ops({str(tmp_path / 'c.yaml')!r})")
    taken = "@pw.check(id='runs')\ndef mine():\n    return True"
    for _ in range(2):
        said = kernel.run(taken)
        assert "the host did not take this kernel's checks" in said
        assert "'runs' belongs to" in said
        assert said.count("belongs to") == 1, said
    assert kernel.run("1 + 1").strip() == "2"
    assert "'runs' belongs to" in kernel.run("%ops")
    assert kernel.run(taken.replace("'runs'", "'mine'")) == ""
    assert kernel.run("%ops").strip() == "OpsDashboard(room='main')"
    assert ast.literal_eval(kernel.run("sorted((await ops.scan()).df.check_id)")) == ["fails", "mine", "runs"]


def test_scan_in_this_kernel(kernel: Kernel, tmp_path: Path) -> None:
    """pw.scan runs a config here and publishes the report to the room; with publish=False no host is started."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    kernel.run("import partywidgets as pw, threading")
    scan = f"report = await pw.scan({str(tmp_path / 'c.yaml')!r}, publish=%s); print(report.counts['crit'], len(report.df))"
    assert kernel.run(scan % "False").strip() == "1 2"
    assert kernel.run("from partywidgets.runtime import runtime; print(runtime().known)").strip() == "None"
    assert kernel.run(scan % "True").strip() == "1 2"
    assert kernel.run("ops = await pw.ops(); print(len(ops.results))").strip() == "2"


# the comm, as a page uses it


def open_terminal(kernel: Kernel, room: str = "c1") -> tuple[str, dict[str, Any]]:
    """A Terminal's comm id and its state as the page got it."""
    kernel.run(f"import partywidgets as pw\nterm = pw.Terminal({room!r})")

    def opened(message: dict[str, Any]) -> Any:
        if message["msg_type"] != "comm_open":
            return None
        state = message["content"]["data"].get("state", {})
        return (message["content"]["comm_id"], state) if state.get("_party") == "terminal-server" else None

    found: tuple[str, dict[str, Any]] = kernel.until(opened)
    return found


def test_the_page_gets_what_it_needs_and_no_secret(kernel: Kernel) -> None:
    """comm_open carries the traits of the contract; a ticket is pushed right after it; the token is in neither."""
    comm, state = open_terminal(kernel)
    assert state["_bundle"]["name"] == "terminal.js"
    assert [endpoint["kind"] for endpoint in state["_endpoints"]] == ["loopback", "comm"]
    assert (state["_room"], state["_party"], state["state"]) == ("c1", "terminal-server", "connecting")
    pushed = kernel.until(custom(comm, op="ticket"))
    assert "id" not in pushed
    assert len(pushed["ticket"]) >= 24
    secret = kernel.run("from partywidgets.runtime import runtime; print(runtime().address.secret)").strip()
    assert secret not in json.dumps(state)


def test_every_request_is_answered(kernel: Kernel) -> None:
    """ticket, hello, bundle and nonsense each get an answer with their id; an error is one sentence."""
    comm, state = open_terminal(kernel)
    kernel.send(comm, {"op": "ticket", "id": "t1"})
    kernel.send(comm, {"op": "hello", "id": "h1"})
    kernel.send(comm, {"op": "bundle", "id": "b1", "name": "../runtime.py"})
    kernel.send(comm, {"op": "nonsense", "id": "n1"})
    assert kernel.until(custom(comm, id="t1"))["ticket"]
    assert kernel.until(custom(comm, id="h1"))["host_id"] == state["_endpoints"][0]["host_id"]
    assert "no bundle" in kernel.until(custom(comm, id="b1"))["error"]
    assert "does not know 'nonsense'" in kernel.until(custom(comm, id="n1"))["error"]


def test_a_socket_over_the_comm(kernel: Kernel, tmp_path: Path) -> None:
    """A page with nothing but the comm opens the room, types, and reads the answer, while a cell awaits and while one blocks."""
    comm, _ = open_terminal(kernel)
    path = "parties/terminal-server/c1?_pk=page"
    kernel.send(comm, {"op": "open", "socket": "s1", "n": 0, "path": path, "protocols": ["partywidgets.v1"]})
    assert kernel.until(custom(comm, op="opened", socket="s1"))["protocol"] == "partywidgets.v1"

    def shows(text: str) -> Callable[[dict[str, Any]], Any]:
        frames, came = custom(comm, op="frames", socket="s1"), bytearray()

        def found(message: dict[str, Any]) -> Any:
            if (content := frames(message)) is not None:
                came.extend(b"".join(content["buffers"]))  # a text may come in pieces
            return text.encode() in came

        return found

    awaited, blocks, goes = (tmp_path / name for name in ("awaited", "blocks", "goes"))
    kernel.run("import asyncio, time\nfrom pathlib import Path")
    waiting = kernel.start(f"while not Path({str(awaited)!r}).exists():\n    await asyncio.sleep(0.02)")
    kernel.send(comm, {"op": "frames", "socket": "s1", "n": 1, "kinds": "t"}, [b"echo a$((1+1))b\r"])
    kernel.until(shows("a2b"))
    awaited.touch()
    kernel.finish(waiting)
    # The shell says it while the cell blocks, and the cell blocks until it has arrived here.
    line = f"until [ -e {blocks} ]; do sleep 0.02; done; echo c$((2+2))d\r"
    kernel.send(comm, {"op": "frames", "socket": "s1", "n": 2, "kinds": "t"}, [line.encode()])
    kernel.until(shows("until"))
    blocking = kernel.start(f"Path({str(blocks)!r}).touch()\nwhile not Path({str(goes)!r}).exists():\n    time.sleep(0.02)")
    kernel.until(shows("c4d"))
    goes.touch()
    kernel.finish(blocking)
    kernel.send(comm, {"op": "close", "socket": "s1", "n": 3, "code": 1000, "reason": ""})
    assert kernel.until(custom(comm, op="closed", socket="s1"))["code"] == 1000


def test_the_last_screen_is_in_the_state(kernel: Kernel) -> None:
    """After a cell the widget's state has the screen as text and as HTML without script: what a saved notebook shows."""
    kernel.run("%load_ext partywidgets")
    comm, _ = open_terminal(kernel)
    kernel.run("await term.run('echo remember-$((40+2))')")

    def snapshot(message: dict[str, Any]) -> Any:
        if message["msg_type"] != "comm_msg" or message["content"]["comm_id"] != comm:
            return None
        kept = message["content"]["data"].get("state", {}).get("_snapshot")
        return kept if kept and "remember-42" in kept["text"] else None

    kept = kernel.until(snapshot)
    assert "remember-42" in kept["html"]
    assert "<script" not in kept["html"]


def test_a_restarted_kernel_is_another_host(tmp_path: Path) -> None:
    """A restart ends the old host and its terminals, and the next one has a new id."""
    manager = KernelManager()
    manager.start_kernel(env=environ(tmp_path))
    try:
        ids = []
        for _ in range(2):
            client = manager.client()
            client.start_channels()
            client.wait_for_ready(timeout=TIMEOUT)
            kernel = Kernel(client, manager)
            kernel.run("import partywidgets as pw; term = pw.Terminal('r'); await term.run('echo hi')")
            shell = int(kernel.run("print((await term.run('echo $$')).output)").strip())
            ids.append(kernel.run("print(term.host_id)").strip())
            manager.restart_kernel(now=False)
            client.stop_channels()
            deadline = time.monotonic() + 20  # until the system has taken note of its end
            while Path(f"/proc/{shell}").exists():
                assert time.monotonic() < deadline, "the shell outlived its kernel"
                time.sleep(0.02)
        assert ids[0] != ids[1]
    finally:
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
