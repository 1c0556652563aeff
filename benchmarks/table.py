"""Ten thousand rows in Chromium, sorted by a column that changes, and the first paint of a dashboard that has so many."""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .first_row import FLAGS
from .peer import BUILD, HERE, PEERS, node_peers, started

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROWS = 10_000
RATES = (1_000, 5_000, 20_000)
GRIDS = ("ours", "tabulator", "sorted", "ag-grid", "perspective")
"""`tabulator` as one first writes it, whose rows stay where they are; `sorted`: it too, with a sort after each batch."""
PATIENCE = 60.0
"""Seconds for each step beyond its own length."""
SAMPLE_EVERY = 5.0
"""Seconds between two looks at the heap of the long run."""
FLAT = 0.05
"""The heap is flat when the line through its samples rises by no more than this part of their median over the whole run."""
MOUNT = """async ({ token, bundle, url, rows }) => {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const body = JSON.stringify({ party: "ops-monitor-broadcast", room: "main" });
  const { ticket } = await (await fetch("/tickets", { method: "POST", headers, body })).json();
  const times = {};
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...given) {
      super(...given);
      this.addEventListener("open", () => (times.open ??= performance.now()));
    }
  };
  document.body.replaceChildren();
  const traits = { _endpoints: [{ kind: "remote", host_id: "", url }], _party: "ops-monitor-broadcast", _room: "main",
    _options: {}, _query: {}, selection: [], view: {} };
  const model = { get: (name) => traits[name], set() {}, save_changes() {}, send() {}, on() {}, off() {} };
  const el = document.body.appendChild(document.createElement("div"));
  const painted = (ready) => new Promise((resolve) => {
    const look = () => (ready() ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))) : requestAnimationFrame(look));
    look();
  });
  times.begin = performance.now();
  const { mount } = await import(bundle);
  mount({ model, el, signal: new AbortController().signal, tickets: [{ ticket, until: Infinity }] });
  const first = painted(() => document.querySelector(".pw-row[data-fingerprint]"));
  const all = painted(() => Number(document.querySelector(".pw-grid")?.getAttribute("aria-rowcount")) > rows);
  return { first: (await first) - times.open, all: (await all) - times.open, begin: (await first) - times.begin };
}"""


@contextlib.contextmanager
def pages() -> Iterator[str]:
    """The page and its worker, built and served; yields their address."""
    BUILD.mkdir(mode=0o700, exist_ok=True)
    esbuild = PEERS / "node_modules/.bin/esbuild"
    command = [esbuild, "table_page.ts", "table_feed.ts", "--bundle", "--minify", "--format=esm", "--loader:.css=text", f"--outdir={BUILD}"]
    subprocess.run([str(part) for part in [*command, "--log-level=error"]], cwd=PEERS, check=True)
    # Perspective's own builds look for their WebAssembly beside themselves.
    perspective = BUILD / "perspective"
    perspective.unlink(missing_ok=True)
    perspective.symlink_to(PEERS / "node_modules/@perspective-dev", target_is_directory=True)
    (BUILD / "table.html").write_text('<!doctype html><meta charset="utf-8"><body><script type="module" src="table_page.js"></script>')

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(BUILD))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/table.html"
        finally:
            server.shutdown()
            thread.join()


def heap(page: Page) -> float:
    """MiB of JavaScript objects after a collection, with what typed arrays hold."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    session.detach()
    return float(usage["usedSize"] + usage.get("backingStorageSize", 0.0)) / 2**20


def asked(page: Page, call: str, seconds: float) -> Any:
    """What a promise of the page gives; raises TimeoutError of Playwright when it takes longer."""
    page.evaluate(f"() => {{ window.told = undefined; {call}.then((told) => {{ window.told = [told]; }}); }}")
    return page.wait_for_function("() => window.told", timeout=seconds * 1000, polling=250).json_value()[0]


def grid(launch: Callable[[], Browser], url: str, name: str, mode: str, *, rates: list[int], seconds: float) -> None:
    """One grid at each rate, and its heap before and after; in a browser of its own, which ends with it whatever its page does."""
    from playwright.sync_api import TimeoutError as Late

    browser = launch()
    page = browser.new_page(viewport={"width": 1200, "height": 700})
    try:
        page.goto(url)
        page.wait_for_function("() => window.tableBench")
        if not asked(page, f"tableBench.begin('{name}', {ROWS})", PATIENCE):
            print(f"{name:<12}{mode:<6} its first {ROWS} rows are not in order", file=sys.stderr)
        for rate in rates:
            before = heap(page)
            told = asked(page, f"tableBench.step({rate}, {seconds}, '{mode}')", seconds + PATIENCE)
            kept = "yes" if told["right"] and not told["unsorted"] else f"no ({told['unsorted']} of {told['looks']} looks)"
            if not told["right"]:
                kept += ", wrong at the end"
            growth = f"{before:.1f} → {heap(page):.1f}"
            line = f"{name:<12}{mode:<6}{rate:>9,}{told['fps']:>10.1f}{told['longest']:>12.0f}{told['longTasks']:>8}{growth:>16}  {kept}"
            print(line, flush=True)
    except Late:
        print(f"{name:<12}{mode:<6} none: its page did not answer for {PATIENCE:.0f} s", flush=True)
    finally:
        browser.close()


def slope(samples: list[tuple[float, float]]) -> tuple[float, bool]:
    """MiB an hour of the line through `samples` (seconds, MiB; two at least), and whether that is flat."""
    rise = statistics.linear_regression(*zip(*samples, strict=True)).slope
    whole = rise * (samples[-1][0] - samples[0][0])
    return rise * 3600, whole <= FLAT * statistics.median(mib for _, mib in samples)


def long_run(launch: Callable[[], Browser], url: str, minutes: float) -> None:
    """Our table at the highest rate, its heap looked at after a collection every few seconds. That stops the page: no frames are told."""
    from playwright.sync_api import Error

    rate, seconds = RATES[-1], minutes * 60
    browser = launch()
    page = browser.new_page(viewport={"width": 1200, "height": 700})
    samples: list[tuple[float, float]] = []
    try:
        page.goto(url)
        page.wait_for_function("() => window.tableBench")
        asked(page, f"tableBench.begin('ours', {ROWS})", PATIENCE)
        page.evaluate(
            f"() => {{ window.told = undefined; tableBench.step({rate}, {seconds}, 'raw').then((told) => {{ window.told = [told]; }}); }}"
        )
        page.wait_for_timeout(SAMPLE_EVERY * 1000)  # what the first updates fill, series and caches, is not growth
        begin = time.monotonic()
        while (at := time.monotonic() - begin) < seconds - SAMPLE_EVERY:
            samples.append((at, heap(page)))
            page.wait_for_timeout(SAMPLE_EVERY * 1000)
        told = page.wait_for_function("() => window.told", timeout=(SAMPLE_EVERY + PATIENCE) * 1000, polling=250).json_value()[0]
    except Error as error:
        print(f"heap: none, the page ended after {len(samples)} samples: {error.message.splitlines()[0]}", flush=True)
        return
    finally:
        browser.close()
    if len(samples) < 3:
        print(f"heap: {len(samples)} samples are too few for a slope: give more --minutes", flush=True)
        return
    rise, flat = slope(samples)
    low, high = min(mib for _, mib in samples), max(mib for _, mib in samples)
    kept = "kept" if told["right"] and not told["unsorted"] else "NOT kept"
    print(f"heap: {samples[0][1]:.1f} → {samples[-1][1]:.1f} MiB (least {low:.1f}, most {high:.1f}) in {len(samples)} samples; sort {kept}")
    print(f"heap: {rise:+.1f} MiB an hour: {'flat' if flat else 'GROWS'} (flat: at most {FLAT:.0%} of the median over the run)", flush=True)


def first_paint(browser: Browser, rounds: int) -> None:
    """A dashboard that joins a room with so many rows, in a real host."""
    times: list[dict[str, float]] = []
    with started([sys.executable, "-m", "benchmarks.peers.table_room", str(ROWS)], cwd=HERE.parent, timeout=3 * PATIENCE) as (_, port):
        url = f"http://127.0.0.1:{port}"
        note = BUILD / f"table_room-{port}.json"
        told = json.loads(note.read_text())
        note.unlink()  # a token is in it
        for _ in range(rounds):
            page = browser.new_context().new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(f"{url}/healthz")
            times.append(page.evaluate(MOUNT, {**told, "url": f"{url}/", "rows": ROWS}))
            page.context.close()
    for name, words in (
        ("first", "socket open to the first row painted"),
        ("all", f"socket open to {ROWS:,} rows in the table"),
        ("begin", "mount, bundle not cached, to the first row"),
    ):
        shown = sorted(one[name] for one in times)
        print(f"first paint: {words:<46}{shown[len(shown) // 2]:>8.0f} ms (worst {shown[-1]:.0f})", flush=True)


def main(argv: list[str]) -> None:
    """Prints a line for each grid and rate."""
    parser = argparse.ArgumentParser(prog="./dev bench table", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each rate")
    parser.add_argument("--minutes", type=float, default=0.0, help="of a further run of ours at 20,000, for its heap")
    parser.add_argument("--rounds", type=int, default=5, help="of the first paint")
    parser.add_argument("--grids", nargs="*", default=list(GRIDS), choices=GRIDS)
    arguments = parser.parse_args(argv)
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium on this machine: the table is left out (apt-get install chromium)", file=sys.stderr)
        return
    if not node_peers():
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, pages() as url:
        launch = functools.partial(playwright.chromium.launch, executable_path=chromium, args=FLAGS)
        print(f"\n{ROWS:,} rows sorted by a changing column, {arguments.seconds:g} s at each rate")
        print(f"{'grid':<12}{'fed':<6}{'updates/s':>9}{'frames/s':>10}{'longest ms':>12}{'> 50 ms':>8}{'heap MiB':>16}  sort kept")
        for name in arguments.grids:
            modes = ("room", "raw") if name == "ours" else ("raw",)
            for mode in modes:
                grid(launch, url, name, mode, rates=list(RATES), seconds=arguments.seconds)
        if arguments.minutes > 0:
            print(f"\nour table for {arguments.minutes:g} minutes at {RATES[-1]:,} updates a second")
            long_run(launch, url, arguments.minutes)
        if arguments.rounds > 0:
            browser = launch()
            first_paint(browser, arguments.rounds)
            browser.close()
