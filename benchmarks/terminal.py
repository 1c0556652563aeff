"""Terminal rooms beside Jupyter's terminals (jupyter_server_terminals, which is terminado) and a bare PTY."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .jupyter import HEADER, jupyter
from .peer import BUILD, HERE, PEERS, compiled, node_peers, plain_shells, started

OURS, UNRECORDED, TERMINADO, EXTENSION, UVLOOP = "ours", "unrecorded", "terminado", "in Jupyter", "on uvloop"
KINDS = (OURS, UNRECORDED, TERMINADO, EXTENSION, UVLOOP)
ECHO_ONLY = (EXTENSION, UVLOOP)
"""What stands beside ours in figures of its own."""
VIEWERS = (1, 5, 20)
PARTS = ("cat", "echo", "stopped", "interrupt", "memory")
POURS = 5
"""Times that one viewer gets the text in a round, in turn with the bare PTY and the other servers: what the scheduler makes of the same
reader differs twofold from one time to the next."""
TURNS = 3
"""Of what is compared in a round, one server or state after the other."""
PRESSES = 200
"""Keys of one turn; the percentiles are those of all turns of a round."""
THIN_LINE = 2_000_000
"""Bytes a second that the viewer of `yes` reads."""
WARM = 2
"""Floods before memory is looked at, so that buffers which are there with or without a stopped viewer have their size."""
WARM_ROOMS = 10
"""Terminals before the first look, so that what a server loads at its first ones is not counted."""
SETTLE = 5.0
"""Seconds in which the last shells show their prompts."""
MARK = ("echo END-$((6*7))", "END-42")
SIZE = (120, 30)
SCROLLBACK = 10_000
Figures = dict[str, float]
Rounds = list[dict[str, Figures]]

GOALS = {
    "cat, 1 viewer, of the bare PTY": "≥ 0.75",
    "cat, 5 viewers, × terminado": "≥ 3",
    "cat, 20 viewers, × terminado": "≥ 6",
    "screens of late viewers that are exact, %": "100",
    "join with 10,000 lines above the screen, ms": "≤ 100",
    "echo, p50 ms": "≤ 0.6",
    "echo, p99 ms": "≤ 1.5",
    "echo on uvloop, p50 ms": "≤ 0.6",
    "echo on uvloop, p99 ms": "≤ 1.5",
    "echo in Jupyter, p50 ms": "≤ terminado",
    "echo in Jupyter, p99 ms": "≤ terminado",
    "Ctrl-C during yes, s to the prompt": "≤ 0.3",
    "echo p99 with a stopped viewer, × without": "≤ 1.2",
    "a stopped viewer costs, KiB": "≤ 1024",
    "one more room with an idle shell, kB": "≤ 300",
}


BOTH = {
    *(f"cat, {viewers} viewers, MB/s in all" for viewers in VIEWERS),
    "echo, p50 ms",
    "echo, p99 ms",
    "Ctrl-C during yes, s to the prompt",
}
"""Where nothing measured means that the server did not get there, rather than that the figure is none of its."""


@dataclass(frozen=True)
class Place:
    """A server to measure. `kind` is its column."""

    kind: str
    pid: int
    port: int

    def terminal(self, room: str) -> tuple[str, str, int, str]:
        """A new terminal: what terminal_client wants to know of it."""
        if self.kind != TERMINADO:
            prefix = "/partywidgets" if self.kind == EXTENSION else ""
            return "rich", "127.0.0.1", self.port, f"{prefix}/parties/terminal-server/{room}"
        name = self.terminado()
        return TERMINADO, "127.0.0.1", self.port, f"/terminals/websocket/{name}"

    def terminado(self) -> str:
        """Has Jupyter make a terminal, and returns its name."""
        address = f"http://127.0.0.1:{self.port}/api/terminals"
        name, _, value = HEADER.partition(": ")
        with urllib.request.urlopen(urllib.request.Request(address, method="POST", headers={name: value}), timeout=30) as answer:
            return str(json.load(answer)["name"])

    def resident(self) -> int:
        """Bytes of physical memory that the server itself holds, without its shells."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def unsent(self) -> int:
        """Bytes that the kernel keeps for its sockets' peers."""
        lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return sum(int(fields[4].partition(":")[0], 16) for fields in lines if int(fields[1].partition(":")[2], 16) == self.port)


def text_of(megabytes: float) -> Path:
    """A file of 80-column lines, newline included."""
    BUILD.mkdir(mode=0o700, exist_ok=True)
    path = BUILD / f"text-{megabytes:g}"
    lines = int(megabytes * 1e6) // 80
    if not path.exists() or path.stat().st_size != lines * 80:
        words = "the quick brown fox jumps over the lazy dog and runs through seventy-nine columns of text"
        path.write_text("".join(f"{n:09d} {words}"[:79] + "\n" for n in range(lines)))
    return path


def client(*arguments: str | int | Path) -> dict[str, Any]:
    """Runs terminal_client and returns what it measured; an empty one when its connection or its patience ended."""
    command = [str(compiled(HERE / "terminal_client.c")), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TERMINAL_HEADER": HEADER})
    if done.returncode != 0:
        print(f"  {' '.join(command[1:7])}: {done.stderr.strip()}", file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def share(times: Sequence[float], part: float) -> float:
    """The value that this part of the times does not pass."""
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]


@contextlib.contextmanager
def holder(*arguments: str | int) -> Iterator[int]:
    """One more viewer, which reads until it is stopped; yields its pid once it has a screen."""
    command = [str(compiled(HERE / "terminal_client.c")), *(str(argument) for argument in arguments), "hold"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TERMINAL_HEADER": HEADER})
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the viewer that is to be stopped got no screen")
        yield process.pid
    finally:
        process.kill()
        process.wait(5)
        process.stdout.close()


def is_exact(drawing: Path, file: Path) -> bool:
    """True when a viewer that joined after the `cat` has the screen, and all rows above it that it got, of one that saw everything."""
    with file.open("rb") as text:
        text.seek(max(0, file.stat().st_size - (SCROLLBACK + 2 * SIZE[1]) * 80))
        newest = text.read().replace(b"\n", b"\r\n")
    whole = BUILD / "whole"
    whole.write_bytes(newest + MARK[1].encode() + b"\r\nREADY> ")
    command = ["node", "screen.mjs", *(str(number) for number in SIZE), str(drawing), str(whole)]
    answer = json.loads(subprocess.run(command, cwd=PEERS, check=True, capture_output=True, text=True).stdout)
    if not answer["exact"]:
        print(f"  a late viewer's screen differs: {answer}", file=sys.stderr)
    return bool(answer["exact"])


def poured(place: Place, file: Path, number: int, *, node: bool) -> Figures:
    """`cat` to 5 and 20 viewers, and once more to one; behind each, whoever joins late."""
    figures: Figures = {}
    exact: list[bool] = []
    joins: list[float] = []
    for viewers in VIEWERS:
        terminal = place.terminal(f"drain-{viewers}-{number}")
        found = client(*terminal, "drain", viewers, f"cat {file}; {MARK[0]}", MARK[1])
        if found and viewers > 1:
            # What terminado sends is JSON, whose escapes are not output: everyone got the whole file.
            sent = found["delivered"] if place.kind != TERMINADO else viewers * file.stat().st_size * 81 / 80
            figures[f"cat, {viewers} viewers, MB/s in all"] = sent / found["seconds"] / 1e6
            figures[f"cat, {viewers} viewers, fresh screens"] = found["screens"]
        if place.kind != TERMINADO:
            drawing = BUILD / "drawing"
            joined = client(*terminal, "join", drawing)
            joins += [joined["seconds"] * 1e3] if joined else []
            exact += [is_exact(drawing, file)] if joined and node else []
    if joins:
        figures["join with 10,000 lines above the screen, ms"] = statistics.median(joins)
    if exact:
        figures["screens of late viewers that are exact, %"] = 100 * sum(exact) / len(exact)
    return figures


def poured_to_one(places: Sequence[Place], file: Path, number: int, measured: dict[str, Figures]) -> None:
    """`cat` to one viewer of each server, in turn with a reader of a bare PTY; the speed is that of all turns together."""
    seconds: dict[str, list[float]] = {}
    screens: dict[str, float] = {}
    for turn in range(POURS):
        seconds.setdefault("PTY", []).append(client("pty", f"cat {file}")["seconds"])
        for place in places:
            found = client(*place.terminal(f"pour-{number}-{turn}"), "drain", 1, f"cat {file}; {MARK[0]}", MARK[1])
            if found:
                seconds.setdefault(place.kind, []).append(found["seconds"])
                screens[place.kind] = screens.get(place.kind, 0) + found["screens"]
    size = file.stat().st_size * 81 / 80e6
    for kind, took in seconds.items():
        figures = measured[kind]
        figures["cat, 1 viewer, MB/s in all"] = size * len(took) / sum(took)
        if kind != "PTY":
            figures["cat, 1 viewer, fresh screens"] = screens[kind]


def stopped(place: Place, file: Path, number: int) -> Figures:
    """Twenty viewers with and without one of them stopped by SIGSTOP, in turn: the others' echo, and what it costs the server."""
    figures: Figures = {}
    terminal = place.terminal(f"stopped-{number}")
    flood = ("drain", 19, f"cat {file}; {MARK[0]}", MARK[1])
    without: list[float] = []
    beside: list[float] = []
    costs: list[float] = []
    with holder(*terminal) as pid:
        for _ in range(WARM):
            client(*terminal, *flood)
        for _ in range(TURNS):
            client(*terminal, *flood)
            without += client(*terminal, "echo", PRESSES, 19).get("ms", ())
            before = place.resident() + place.unsent()
            os.kill(pid, signal.SIGSTOP)
            client(*terminal, *flood)
            beside += client(*terminal, "echo", PRESSES, 19).get("ms", ())
            costs.append((place.resident() + place.unsent() - before) / 1024)
            os.kill(pid, signal.SIGCONT)
    if without and beside:
        figures["echo p99, 20 viewers, ms"] = share(without, 0.99)
        figures["echo p99, one of them stopped, ms"] = share(beside, 0.99)
        figures["echo p99 with a stopped viewer, × without"] = share(beside, 0.99) / share(without, 0.99)
    figures["a stopped viewer costs, KiB"] = statistics.median(costs)
    return figures


def echoed(places: Sequence[Place], number: int, measured: dict[str, Figures]) -> None:
    """Keystroke to echo at a prompt of each server, in turn with bash on a bare PTY."""
    times: dict[str, list[float]] = {}
    for turn in range(TURNS):
        times.setdefault("PTY", []).extend(client("pty-echo", PRESSES)["ms"])
        for place in places:
            found = client(*place.terminal(f"echo-{number}-{turn}"), "echo", PRESSES, 1)
            times.setdefault(place.kind, []).extend(found.get("ms", ()))
    for kind, took in times.items():
        name = f"echo {kind}" if kind in ECHO_ONLY else "echo"
        if took:
            measured[kind] |= {f"{name}, p50 ms": share(took, 0.5), f"{name}, p99 ms": share(took, 0.99)}


def interrupted(place: Place, number: int) -> Figures:
    """Ctrl-C during `yes`, by a viewer on a thin line."""
    found = client(*place.terminal(f"yes-{number}"), "interrupt", THIN_LINE)
    return {"Ctrl-C during yes, s to the prompt": found["seconds"]} if found and found["seen"] else {}


def one_round(places: Sequence[Place], file: Path, number: int, parts: Sequence[str], *, node: bool) -> dict[str, Figures]:
    """Every figure of each server but its memory."""
    measured: dict[str, Figures] = {kind: {} for kind in ("PTY", *KINDS)}
    own = [place for place in places if place.kind not in ECHO_ONLY]
    if "cat" in parts:
        poured_to_one(own, file, number, measured)
    if "echo" in parts:
        echoed(places, number, measured)
    for place in own:
        figures = measured[place.kind]
        if "cat" in parts:
            figures |= poured(place, file, number, node=node)
        if "stopped" in parts and place.kind != UNRECORDED:
            figures |= stopped(place, file, number)
        if "interrupt" in parts:
            figures |= interrupted(place, number)
    compared(measured)
    return measured


def room_kilobytes(kind: str, rooms: int) -> float:
    """What one more terminal with an idle shell, which nobody watches any more, adds to a server that has just started, in kB."""
    with server(kind) as place:

        def opened(room: str) -> None:
            terminal = place.terminal(room)
            if kind != TERMINADO:
                client(*terminal, "join")

        for number in range(WARM_ROOMS):
            opened(f"warm-{number}")
        time.sleep(SETTLE)
        before = place.resident()
        for number in range(rooms):
            opened(f"idle-{number}")
        time.sleep(SETTLE)
        return (place.resident() - before) / rooms / 1000


@contextlib.contextmanager
def server(kind: str) -> Iterator[Place]:
    """A server that has just started."""
    if kind in (OURS, UNRECORDED):
        running = started([sys.executable, PEERS / "terminal_room.py", "asyncio", "recorded" if kind == OURS else kind])
    elif kind == UVLOOP:
        running = started([sys.executable, PEERS / "terminal_room.py", "uvloop", "recorded"])
    else:
        running = jupyter({"partywidgets": kind == EXTENSION})
    with running as (pid, port):
        yield Place(kind, pid, port)


def main(argv: list[str]) -> None:
    """Measures, then prints."""
    parser = argparse.ArgumentParser(prog="./dev bench terminal", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="each takes about six minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}; all without it")
    parser.add_argument("--megabytes", type=float, default=51.0)
    parser.add_argument("--rooms", type=int, default=200, help="terminals with an idle shell each")
    arguments = parser.parse_args(argv)
    file, node = text_of(arguments.megabytes), node_peers()
    if file.stat().st_size < (SCROLLBACK + 2 * SIZE[1]) * 80:
        parser.error(f"less than a full scrollback: give at least {(SCROLLBACK + 2 * SIZE[1]) * 80 / 1e6:.1f} MB")
    plain_shells()
    rounds: Rounds = []
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(server(kind)) for kind in KINDS]
        for number in range(arguments.rounds):
            rounds.append(one_round(places, file, number, arguments.only, node=node))
            print(f"round {number + 1} of {arguments.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    for kind in (OURS, UNRECORDED, TERMINADO) if "memory" in arguments.only else ():
        rounds[-1][kind]["one more room with an idle shell, kB"] = room_kilobytes(kind, arguments.rooms)
    report(file, rounds)


def compared(measured: dict[str, Figures]) -> None:
    """Adds to a round of ours its ratios; what was measured inside Jupyter stands beside terminado's."""
    terminado = measured[TERMINADO]
    for part in ("p50", "p99"):
        if (other := terminado.get(f"echo, {part} ms")) is not None:
            terminado |= {f"echo {kind}, {part} ms": other for kind in ECHO_ONLY}
            for kind in (OURS, UNRECORDED):
                if (own := measured[kind].get(f"echo, {part} ms")) is not None:
                    measured[kind][f"echo, {part}, × terminado"] = own / other
    for kind in (OURS, UNRECORDED, TERMINADO):
        figures = measured[kind]
        if (alone := figures.get("cat, 1 viewer, MB/s in all")) is not None:
            figures["cat, 1 viewer, of the bare PTY"] = alone / measured["PTY"]["cat, 1 viewer, MB/s in all"]
        for viewers in VIEWERS[1:]:
            own, other = (found.get(f"cat, {viewers} viewers, MB/s in all") for found in (figures, terminado))
            if own is not None and other and kind != TERMINADO:
                figures[f"cat, {viewers} viewers, × terminado"] = own / other
    for kind in ECHO_ONLY:
        measured[OURS] |= measured[kind]


def report(file: Path, rounds: Rounds) -> None:
    """Prints a line for each figure: the medians of the rounds, and what it must reach."""
    print(f"\n{file.stat().st_size / 1e6:g} MB of 80-column text, median of {len(rounds)} rounds, spread of ours in brackets")
    for name in rounds[0]["PTY"]:
        print(f"a bare PTY and its bash: {name}: {statistics.median(measured['PTY'][name] for measured in rounds):.2f}")
    print(f"{'figure':46}{OURS:>10}{'':>18}{UNRECORDED:>12}{TERMINADO:>12}  goal")
    for name in dict.fromkeys(name for measured in rounds for name in (*GOALS, *measured[OURS]) if name in measured[OURS]):
        columns = [f"{name:46}"]
        for kind, width in ((OURS, 10), (UNRECORDED, 12), (TERMINADO, 12)):
            known = [measured[kind][name] for measured in rounds if name in measured[kind]]
            missing = "" if kind != OURS and name not in BOTH else "none"
            columns.append(f"{statistics.median(known):>{width}.2f}" if known else f"{missing:>{width}}")
            if kind == OURS:
                columns.append(f"{f'({min(known):.2f} to {max(known):.2f})' if len(known) > 1 else '':>18}")
        print("".join(columns) + f"  {GOALS.get(name, '')}", flush=True)
