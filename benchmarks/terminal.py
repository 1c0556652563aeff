"""Terminal rooms beside Jupyter's terminals (jupyter_server_terminals, which is terminado) and a bare PTY."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from .peer import BUILD, HERE, PEERS, compiled, started

PEER = "terminado"
VIEWERS = (1, 5, 20)
PRESSES = 200
THIN_LINE = 2_000_000
"""Bytes a second that the viewer of `yes` reads."""
ROOMS = 200
SETTLE = 5.0
"""Seconds in which the last shells show their prompts."""
TOKEN = "benchmark"
MARK = ("echo END-$((6*7))", "END-42")
Endpoint = tuple[str, int, str]
"""Dialect, port, path."""


def text_of(megabytes: float) -> Path:
    """A file of 80-column lines, newline included."""
    BUILD.mkdir(mode=0o700, exist_ok=True)
    path = BUILD / f"text-{megabytes:g}"
    lines = int(megabytes * 1e6) // 80
    if not path.exists() or path.stat().st_size != lines * 80:
        words = "the quick brown fox jumps over the lazy dog and runs through seventy-nine columns of text"
        path.write_text("".join(f"{n:09d} {words}"[:79] + "\n" for n in range(lines)))
    return path


def client(*arguments: str | int | Path) -> dict[str, float]:
    """Runs terminal_client and returns what it measured; an empty one when its connection or its patience ended."""
    command = [str(compiled(HERE / "terminal_client.c")), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"  {' '.join(command[1:6])}: {done.stderr.strip()}", file=sys.stderr)
        return {}
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextlib.contextmanager
def jupyter() -> Iterator[int]:
    """A Jupyter Server of its own, without our extension; yields its port."""
    with tempfile.TemporaryDirectory() as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environ = {**os.environ, "SHELL": "/bin/bash", "JUPYTER_CONFIG_DIR": home, "JUPYTER_RUNTIME_DIR": home, "JUPYTER_DATA_DIR": home}
        options = [f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}", "--ServerApp.open_browser=False", "--allow-root"]
        options += [
            f"--ServerApp.root_dir={home}",
            "--ServerApp.jpserver_extensions=partywidgets.extension=False",
            "--ServerApp.port_retries=0",
        ]
        command = [sys.executable, "-m", "jupyter_server", *options]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the Jupyter Server does not answer on port {port} (exit code {process.poll()})")
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def endpoint(kind: str, port: int, room: str) -> Endpoint:
    """A new terminal."""
    if kind != PEER:
        return "rich", port, f"/parties/terminal-server/{room}"
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/terminals?token={TOKEN}", method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        name = json.load(answer)["name"]
    return PEER, port, f"/terminals/websocket/{name}?token={TOKEN}"


def ask(place: Endpoint, *arguments: str | int) -> dict[str, float]:
    """Measures one thing on one terminal."""
    dialect, port, path = place
    return client(dialect, "127.0.0.1", port, path, *arguments)


def room_kilobytes(pid: int, port: int) -> float:
    """What one more room with an idle shell adds to our process, in kB."""

    def resident() -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    ask(endpoint("ours", port, "idle-first"), "join")
    before = resident()
    for number in range(ROOMS):
        ask(endpoint("ours", port, f"idle-{number}"), "join")
    time.sleep(SETTLE)
    return (resident() - before) / ROOMS


def one_round(kind: str, port: int, file: Path, number: int) -> dict[str, float]:
    """Every figure of one server."""
    line, mark = f"cat {file}; {MARK[0]}", MARK[1]
    figures: dict[str, float] = {}
    for viewers in VIEWERS:
        found = ask(endpoint(kind, port, f"drain-{viewers}-{number}"), "drain", viewers, line, mark)
        if found:
            # What terminado sends is JSON, whose escapes are not output: everyone got the whole file.
            sent = found["delivered"] if kind != PEER else viewers * file.stat().st_size * 81 / 80
            figures[f"cat, {viewers} viewers, MB/s in all"] = sent / found["seconds"] / 1e6
            figures[f"cat, {viewers} viewers, fresh screens"] = found["screens"]
    for name, extra in (("", [0]), (", one of 20 stalled", [1, line, mark, 20]), (", 19 viewers", [0, line, mark, 19])):
        found = ask(endpoint(kind, port, f"echo-{len(name)}-{number}"), "echo", PRESSES, *extra)
        for part in ("p50", "p99"):
            if found:
                figures[f"echo{name}, {part} ms"] = found[f"{part}_ms"]
    found = ask(endpoint(kind, port, f"yes-{number}"), "interrupt", THIN_LINE)
    if found and found["seen"]:
        figures["Ctrl-C during yes, s to the prompt"] = found["seconds"]
    return figures


def main(argv: list[str]) -> None:
    """Measures, then prints."""
    parser = argparse.ArgumentParser(prog="./dev bench terminal", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=float, default=51.0)
    parser.add_argument("--idle-rooms", action="store_true", help=f"also the memory of {ROOMS} rooms with an idle shell")
    arguments = parser.parse_args(argv)
    file = text_of(arguments.megabytes)
    bare: list[float] = []
    seen: dict[str, list[dict[str, float]]] = {"ours": [], PEER: []}
    os.environ["SHELL"] = "/bin/bash"
    with started([sys.executable, PEERS / "terminal_room.py", "asyncio"]) as (pid, port), jupyter() as other:
        for number in range(arguments.rounds):
            bare.append(client("pty", f"cat {file}")["mb_per_s"])
            seen["ours"].append(one_round("ours", port, file, number))
            seen[PEER].append(one_round(PEER, other, file, number))
            print(f"round {number + 1} of {arguments.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        joins = [ask(endpoint("ours", port, f"drain-1-{number}"), "join")["seconds"] for number in range(arguments.rounds)]
        report(arguments.rounds, file, bare, seen, joins)
        if arguments.idle_rooms:
            print(f"{'one more room with an idle shell, kB':46}{room_kilobytes(pid, port):>10.0f}")


def report(rounds: int, file: Path, bare: list[float], seen: dict[str, list[dict[str, float]]], joins: list[float]) -> None:
    """Prints a line for each figure: the median of the rounds, and of the ratios of each round."""
    print(f"\n{file.stat().st_size / 1e6:g} MB of 80-column text, median of {rounds} rounds")
    print(f"{'figure':46}{'ours':>10}{PEER:>12}{'ratio':>8}{'to bare PTY':>13}")
    print(f"{'bare PTY, MB/s':46}{statistics.median(bare):>10.1f}")
    names = list(dict.fromkeys(name for figures in seen["ours"] for name in figures))
    for name in names:
        columns = [f"{name:46}"]
        pairs = [(own.get(name), peer.get(name), pty) for own, peer, pty in zip(seen["ours"], seen[PEER], bare, strict=True)]
        for values, width in (([own for own, _, _ in pairs], 10), ([peer for _, peer, _ in pairs], 12)):
            known = [value for value in values if value is not None]
            columns.append(f"{statistics.median(known):>{width}.2f}" if known else f"{'none':>{width}}")
        ratios = [own / peer for own, peer, _ in pairs if own is not None and peer]
        columns.append(f"{statistics.median(ratios):>8.2f}" if ratios else " " * 8)
        if name.endswith("in all"):
            columns.append(f"{statistics.median([own / pty for own, _, pty in pairs if own is not None]):>13.2f}")
        print("".join(columns))
    print(f"{'join with full scrollback, ms':46}{statistics.median(joins) * 1000:>10.1f}", flush=True)
