"""From `./dev lab` in an installed checkout to the dashboard's first row in Chromium, and what `import partywidgets` costs."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0
"""Seconds for each step."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
READY = """() => {
    const session = window.jupyterapp?.shell.currentWidget?.sessionContext;
    return session && session.isReady && session.session?.kernel?.status === 'idle';
}"""
NOTEBOOK = "notebooks/ops_dashboard.ipynb"
ROW = ".pw-dashboard .pw-row"
URL = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d+/\S*token=\w+")


@contextlib.contextmanager
def lab(home: str) -> Iterator[str]:
    """`./dev lab` with folders of its own; yields the URL that it prints."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "PARTYWIDGETS"))}
    environ |= {f"JUPYTER_{kind}_DIR": f"{home}/{kind.lower()}" for kind in ("CONFIG", "RUNTIME", "DATA")}
    environ |= {"PARTYWIDGETS_HOME": f"{home}/state"}
    command = [sys.executable, ROOT / "dev", "lab", "--no-browser", "--port", "0", "--LabApp.expose_app_in_browser=True"]
    command += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = Path(home) / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environ, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while (found := URL.search(log.read_text())) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"./dev lab printed no URL:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield found.group()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def first_row(browser: Browser) -> dict[str, float]:
    """Seconds since the command, at each step on the way to the first row."""
    with tempfile.TemporaryDirectory() as home:
        begin = time.monotonic()
        steps: dict[str, float] = {}
        with lab(home) as url:
            steps["URL printed"] = time.monotonic() - begin
            page = browser.new_context().new_page()
            try:
                page.set_default_timeout(PATIENCE * 1000)
                # The printed URL may be the launcher's: the next click of a person is the notebook.
                page.goto(url.replace("/lab?", f"/lab/tree/{NOTEBOOK}?"))
                page.wait_for_function(READY)
                steps["kernel idle"] = time.monotonic() - begin
                page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
                page.wait_for_selector(ROW)
                steps["first row"] = time.monotonic() - begin
            finally:
                page.context.close()
    return steps


def import_cost() -> tuple[float, float]:
    """Milliseconds of `import partywidgets` in a fresh interpreter that has ipywidgets and anywidget, and of the first look at `pw.ops`."""
    code = "import ipywidgets, anywidget, time; import partywidgets as pw; t = time.perf_counter(); pw.ops; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for line in done.stderr.splitlines():
        parts = line.split("|")
        if parts[-1].strip() == "partywidgets":
            return int(parts[1]) / 1000, float(done.stdout) * 1000
    raise RuntimeError("-X importtime did not name partywidgets")


def main(argv: list[str]) -> None:
    """Prints the median of the rounds of each step."""
    parser = argparse.ArgumentParser(prog="./dev bench first-row", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    costs = [import_cost() for _ in range(arguments.rounds + 1)][1:]  # the first one reads the disk
    print(f"\nmedian of {arguments.rounds} rounds")
    for index, name in enumerate(("import partywidgets beyond ipywidgets and anywidget", "pw.ops after it, the first time")):
        print(f"{name:56}{statistics.median(cost[index] for cost in costs):>10.1f} ms", flush=True)
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium on this machine: the first row is left out (apt-get install chromium)", file=sys.stderr)
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        rounds = [first_row(browser) for _ in range(arguments.rounds)]
        browser.close()
    for step in rounds[0]:
        print(f"{'./dev lab: ' + step:56}{statistics.median(steps[step] for steps in rounds):>10.1f} s")
