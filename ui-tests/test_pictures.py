"""The pictures of the README and the docs, taken from the real page; a person looks at them before they are copied to docs/images."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import SCREENSHOTS, JupyterServer
from lab import Lab
from playwright.sync_api import Browser, expect
from team_host import Host

StartJupyter = Callable[..., JupyterServer]
OpenLab = Callable[..., Lab]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dashboard_picture(theme: str, start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The dashboard with a failing row selected shows its conditions and its remedy."""
    lab = open_lab(start_jupyter(), "notebooks/ops_dashboard.ipynb", dark=theme == "dark")
    lab.use_theme(theme)
    lab.run_all()
    dashboard = lab.page.locator(".pw-dashboard").first
    lab.run_code("maintenance.touch(); _ = await ops.scan()")
    dashboard.scroll_into_view_if_needed()
    row = dashboard.locator(".pw-row", has_text="got 503").first
    expect(row).to_be_visible()
    row.click()
    expect(dashboard).to_contain_text("body.status")
    dashboard.scroll_into_view_if_needed()
    SCREENSHOTS.mkdir(exist_ok=True)
    lab.page.set_viewport_size({"width": 1400, "height": 1300})
    dashboard.screenshot(path=SCREENSHOTS / f"ops_dashboard_{theme}.png")
    lab.page.screenshot(path=SCREENSHOTS / f"ops_dashboard_page_{theme}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_terminal_picture(theme: str, start_jupyter: StartJupyter, open_lab: OpenLab) -> None:
    """The terminal shows the commands that the cells ran."""
    lab = open_lab(start_jupyter(), "notebooks/terminal.ipynb", dark=theme == "dark")
    lab.use_theme(theme)
    lab.run_all()
    lab.expect_screen("both see this")
    SCREENSHOTS.mkdir(exist_ok=True)
    lab.terminals().first.screenshot(path=SCREENSHOTS / f"terminal_{theme}.png")
    lab.page.screenshot(path=SCREENSHOTS / f"terminal_page_{theme}.png")


class Shop(BaseHTTPRequestHandler):
    """Its health is bad, all else is well."""

    def do_GET(self) -> None:
        """Answers."""
        down = self.path == "/health"
        body = json.dumps({"status": "degraded", "error": "database: too many connections"} if down else {"status": "ok"}).encode()
        self.send_response(503 if down else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def test_page_picture(browser: Browser, tmp_path: Path) -> None:
    """The host's page leads from a link to what fails, what was seen and what helps, on a desk and on a phone."""
    shop = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    serving = threading.Thread(target=shop.serve_forever)
    serving.start()
    url = f"http://127.0.0.1:{shop.server_port}"
    remedy = {
        "text": "Restart the web tier",
        "command": "supervisorctl restart shop",
        "sandbox": "web",
        "runbook": "https://wiki.example.com/shop",
    }
    conditions = ["status == 200", "body.status == 'ok'"]
    checks: list[dict[str, Any]] = [
        {
            "id": "shop",
            "title": "Shop answers",
            "severity": "critical",
            "url": f"{url}/health",
            "conditions": conditions,
            "remediation": remedy,
        },
        {"id": "search", "title": "Search answers", "severity": "high", "url": f"{url}/search"},
        {"id": "pay", "title": "Payments settle", "severity": "high", "url": f"{url}/pay"},
    ]
    config = {"defaults": {"every": "2s"}, "sandboxes": {"web": "local:/bin/sh"}, "checks": [{"type": "http", **check} for check in checks]}
    host = Host(tmp_path, config=json.dumps(config))
    host.start()
    try:
        for name, width, height, scheme in (("host_page", 1200, 640, "light"), ("host_page_phone", 390, 844, "dark")):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(f"{host.url}#check=shop")
            page.get_by_label("Token").fill(host.token)
            page.keyboard.press("Enter")
            expect(page.locator(".pw-detail")).to_contain_text("too many connections")
            expect(page).to_have_title(f"1 crit · 127.0.0.1:{host.port}")
            page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
            page.screenshot(path=SCREENSHOTS / f"{name}.png")
            page.close()
    finally:
        host.stop()
        shop.shutdown()
        serving.join(20)
        shop.server_close()
