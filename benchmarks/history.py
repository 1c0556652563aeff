"""Two million results: how many a second go into the history, how long `history(hours=24)` takes to a DataFrame, and a click on a row.

They are results of HTTP checks looked at once a minute over the last day, written in batches as a scan writes them; minutes, hours and
days are rolled up after every hour of them. The peer of the inserts is SQLite alone, with one table, one index and the same texts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from partywidgets.app import create_app
from partywidgets.auth import Gate, Identity
from partywidgets.client.ops import OpsClient
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.scans.board import Board
from partywidgets.scans.export import figures_frame
from partywidgets.scans.history import FILE, History, Recorded
from partywidgets.scans.model import CheckResult, ConditionResult, Evidence, Metric
from partywidgets.scans.rollup import keyed
from partywidgets.transport.server import serve

EVERY = 60.0
BATCH = 500


def result(number: int, scan_id: str, observed_at: datetime) -> CheckResult:
    """A result as an HTTP check makes it."""
    took = round(1.2 + number % 97 / 50, 3)
    return CheckResult(
        check_id=f"shop-{number}",
        check_type="http",
        target=f"http://127.0.0.1:8080/health.json?check={number}",
        status="crit" if number % 500 == 7 else "ok",
        scan_id=scan_id,
        started_at=observed_at,
        observed_at=observed_at,
        duration_ms=took,
        phases_ms={"resolve": 0.012, "connect": 0.105, "tls": 0.0, "processing": 0.61, "transfer": 0.08},
        summary=f"HTTP 200 in {took:.4g} ms",
        conditions=[ConditionResult("status == 200", True, "200"), ConditionResult("body.status == 'ok'", True, "ok")],
        metrics=[Metric("duration_ms", took, "ms"), Metric("status", 200.0), Metric("size", 240.0, "B")],
        evidence=[Evidence("http-body", "body", '{"status": "ok", "version": "2026.11.1", "queue": {"length": 3}}')],
        labels={"team": f"team-{number % 20}"},
    )


def batches(board: Board, results: int, begin: datetime) -> Iterator[tuple[datetime, list[Recorded]]]:
    """Results placed on a board as the service does it, in batches, each with its time."""
    checks = max(1, round(results * EVERY / 86_400))
    for first in range(0, results, BATCH):
        moment, batch = begin, []
        for place in range(first, min(first + BATCH, results)):
            turn, number = divmod(place, checks)
            moment = begin + timedelta(seconds=EVERY * (turn + number / checks))
            made = result(number, f"01930000-0000-7000-8000-{turn:012x}", moment)
            batch.append(board.place(made, owner="checks.yaml", attempts=1, now=moment).recorded)
        yield moment, batch


async def insert(path: Path, results: int) -> None:
    """Fills a history, and prints the rates: of `History.record` alone, with the board's part, and of SQLite alone."""
    board, kept, made, rolled = Board(), 0.0, 0.0, 0.0
    begin = datetime.now(UTC) - timedelta(hours=24)
    hour, texts = begin + timedelta(hours=1), list[str]()
    async with History(path) as history:
        started = time.perf_counter()
        for moment, batch in batches(board, results, begin):
            made += time.perf_counter() - started
            texts = texts or [recorded.body or "" for recorded in batch]
            writing = time.perf_counter()
            await history.record(batch)
            kept += time.perf_counter() - writing
            if moment >= hour:
                hour = moment + timedelta(hours=1)
                rolling = time.perf_counter()
                await history.roll_up(moment)
                rolled += time.perf_counter() - rolling
            started = time.perf_counter()
        rolling = time.perf_counter()
        await history.roll_up(datetime.now(UTC))
        rolled += time.perf_counter() - rolling
    print(f"\n{results:,} results of {len(texts[0]):,} bytes of JSON, {BATCH} at a time")
    print(f"{'insert: History.record':44}{results / kept:>12,.0f} results/s")
    print(f"{'insert: the whole path, made and encoded too':44}{results / (kept + made):>12,.0f} results/s")
    print(f"{'insert: History.record and all roll-ups':44}{results / (kept + rolled):>12,.0f} results/s")
    peer = alone(path.with_name("alone.sqlite"), texts, min(results, 200_000))
    print(f"{'peer: SQLite alone, the same texts':44}{peer:>12,.0f} results/s")
    print(f"{'insert: History.record, of the peer':44}{results / kept / peer:>12.2f} x")


def alone(path: Path, texts: list[str], results: int) -> float:
    """Rows a second of SQLite with a table of key, time, check and text, in the same batches."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        database.executescript("CREATE TABLE results (seq INTEGER PRIMARY KEY, at REAL, check_id TEXT, body TEXT);")
        database.execute("CREATE INDEX at ON results (at)")
        begin = time.perf_counter()
        for first in range(0, results, len(texts)):
            rows = [(first + place, float(first + place), f"shop-{place}", text) for place, text in enumerate(texts)]
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO results VALUES (?, ?, ?, ?)", rows)
            database.execute("COMMIT")
        took = time.perf_counter() - begin
    path.unlink()
    return results / took


async def read(folder: Path, rounds: int) -> None:
    """Prints how long the frame of a day takes: from the history itself, and by OpsClient over HTTP from a host."""
    token = secrets.token_urlsafe(32)
    gate = Gate(tokens={token: Identity("owner", "owner", OWNER_ROLES)}, hosts=None)
    async with (
        create_app(gate=gate, storage=folder) as app,
        serve(app.asgi, port=0) as server,
        OpsClient(server.url, token=token, timeout=60) as client,
    ):
        within: list[float] = []
        over_http: list[float] = []
        for number in range(rounds + 1):
            begin = time.perf_counter()
            span = await app.service.history.finest(hours=24)
            if span == "raw":
                raise RuntimeError("no roll-ups were needed: the figure would not be of them")
            frame = figures_frame(keyed(await app.service.history.figures(hours=24, span=span)))
            middle = time.perf_counter()
            fetched = await client.history(hours=24)
            if number:  # the first one imports pandas and reads the disk
                within.append((middle - begin) * 1000)
                over_http.append((time.perf_counter() - middle) * 1000)
            assert len(fetched) == len(frame)
        await clicks(server.url, token, client, rounds)
        looks = int(fetched["looks"].sum())
        print(f"\nhistory(hours=24): {len(frame):,} rows by the {fetched.attrs['resolution']}, of {looks:,} looks")
        for name, times in (("read: to a DataFrame, in process", within), ("read: to a DataFrame, OpsClient over HTTP", over_http)):
            print(f"{name:44}{statistics.median(times):>12,.0f} ms, highest {max(times):,.0f}")


async def clicks(url: str, token: str, client: OpsClient, rounds: int) -> None:
    """Prints how long the room takes to tell a row's past, alone and while somebody reads a day, and what notebooks ask of one check."""
    times: dict[str, list[float]] = {}

    async def timed(name: str, answer: Awaitable[object]) -> None:
        begin = time.perf_counter()
        await answer
        times.setdefault(name, []).append((time.perf_counter() - begin) * 1000)

    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
        http.get(f"{url}/api/ops/scans/rows") as response,
        http.ws_connect(f"{url}/parties/ops-monitor-broadcast/main?window=1", max_msg_size=0) as room,
    ):
        rows = (await response.json())["results"]

        async def past(fingerprint: str) -> None:
            await room.send_json({"type": "past", "data": {"id": fingerprint, "fingerprint": fingerprint}})
            while (message := await room.receive_json(timeout=60))["type"] != "reply":
                pass
            assert message["data"]["ok"], message

        for number in range(20 * rounds):
            await timed("click: a row's past, from the room", past(rows[number * 37 % len(rows)]["fingerprint"]))
        reading = asyncio.create_task(client.history(hours=24))
        for number in itertools.count(5):
            await timed("click: the same while a day is read", past(rows[number * 31 % len(rows)]["fingerprint"]))
            if reading.done():
                break
        await reading
        for _ in range(rounds):
            await timed("read: history(hours=1, raw), over HTTP", client.history(hours=1, resolution="raw"))
        for number in range(rounds):
            check = rows[number * 41 % len(rows)]["check_id"]
            await timed("read: history(check=, hours=24), over HTTP", client.history(check=check, hours=24))
            await timed("read: changes(check=, hours=168), over HTTP", client.changes(check=check, hours=168))
            await timed("read: backtest(check, …), over HTTP", client.backtest(check, "duration_ms > 2", hours=24))
            await timed("read: the scans, over HTTP", client.scans())
    print()
    for name, took in times.items():
        print(f"{name:44}{statistics.median(took):>12,.1f} ms, highest {max(took):,.1f} of {len(took)}")


def main(argv: list[str]) -> None:
    """Prints the rates of inserting and the times of reading."""
    parser = argparse.ArgumentParser(prog="./dev bench history", description=__doc__)
    parser.add_argument("--results", type=int, default=2_000_000, help="2.3 KB of disk each, while it runs")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args(argv)
    if given.results <= 100_000:
        parser.error("--results must be above 100,000: as many come as single results, without roll-ups")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(insert(Path(folder) / FILE, given.results))
        asyncio.run(read(Path(folder), given.rounds))
