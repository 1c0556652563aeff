"""A real Jupyter Server with JupyterLab and a real Chromium, driven as a person would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lab import Lab
from playwright.sync_api import Browser, Page, expect, sync_playwright
from program import end

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.engines_fixture import docker_engine, podman_engine  # noqa: E402, F401  # fixtures: real engines

if TYPE_CHECKING:
    from bare_page import Place

SCREENSHOTS = Path(__file__).parent / "screenshots"
# What is expected comes as soon as it can: the bound, in milliseconds, is for machines that have much else to do.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-3d-apis",  # the DOM renderer: its rows can be read
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with people of every role, and one shell."""
    from bare_page import host

    with host(tmp_path_factory.mktemp("rooms")) as running:
        yield running


class JupyterServer:
    """A `jupyter lab` process with folders of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        extension: bool = True,
        environ: dict[str, str] | None = None,
        base_url: str = "/",
        options: Sequence[str] = (),
    ) -> None:
        self.folder, self.token = folder, "ui-tests-token"
        self.notebooks = folder / "notebooks"
        shutil.copytree(ROOT / "notebooks", self.notebooks, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        env = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "PARTYWIDGETS"))}
        env |= {
            "HOME": str(folder / "home"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "PARTYWIDGETS_HOME": str(folder / "state"),
            "SHELL": "/bin/bash",
            "PS1": "$ ",
        } | (environ or {})
        for name in ("home", "runtime", "config", "data", "state"):
            (folder / name).mkdir()
        (folder / "home" / ".bashrc").write_text("PS1='sre:\\W$ '\n")
        # A notebook is saved when a test saves it: by itself after two minutes, that is in slow runs alone, a changed one is no longer
        # asked about when it is closed, and JupyterLab puts a dialog over the page where its server is away.
        settings = folder / "config/lab/user-settings/@jupyterlab/docmanager-extension"
        settings.mkdir(parents=True)
        (settings / "plugin.jupyterlab-settings").write_text('{"autosave": false}')
        self.log = folder / "jupyter.log"
        command = [
            sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--ServerApp.port=0",
            f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={folder}", f"--ServerApp.base_url={base_url}",
            "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            *(options or [f"--ServerApp.jpserver_extensions={{'partywidgets': {extension}}}"]),
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
        self.url = self._wait()

    def _wait(self) -> str:
        """The server's URL, from the runtime file that it writes when it listens."""
        file = self.folder / "runtime" / f"jpserver-{self.process.pid}.json"
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if file.exists():
                try:
                    url = str(json.loads(file.read_text())["url"])
                    with urllib.request.urlopen(f"{url}api", timeout=5):
                        return url
                except (ValueError, KeyError, OSError):
                    pass  # half written, or written before it listens
            time.sleep(0.05)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """Ends the server and its kernels."""
        end(self.process, 30)


@pytest.fixture
def start_jupyter(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., JupyterServer]]:
    """Starts Jupyter servers that end with the test; a failed test shows their logs."""
    servers: list[JupyterServer] = []

    def start(**options: Any) -> JupyterServer:
        folder = tmp_path / f"jupyter-{len(servers)}"
        folder.mkdir()
        servers.append(JupyterServer(folder, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
        if getattr(request.node, "failed", False):
            print(server.log.read_text()[-4000:])


@pytest.fixture
def open_lab(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Lab]]:
    """Opens a notebook in JupyterLab; keeps a screenshot of every page at the end of the test."""
    labs: list[Lab] = []

    def open_notebook(server: JupyterServer, notebook: str, *, dark: bool = False, init: str | None = None) -> Lab:
        context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="dark" if dark else "light")
        page: Page = context.new_page()
        if init is not None:
            page.add_init_script(init)
        lab = Lab(page, server.url, server.token)
        labs.append(lab)
        lab.open(notebook)
        return lab

    yield open_notebook
    SCREENSHOTS.mkdir(exist_ok=True)
    for index, lab in enumerate(labs):
        name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
        lab.page.screenshot(path=SCREENSHOTS / f"{name}-{index}.png")
        if getattr(request.node, "failed", False):
            print("\n".join(lab.console[-40:]))
        lab.page.context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Lets fixtures know that the test failed."""
    report = yield
    if report.failed:
        item.failed = True  # type: ignore[attr-defined]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser test may take eight minutes, on a machine that has much else to do; most take ten seconds."""
    for item in items:
        item.add_marker(pytest.mark.timeout(480))
        item.add_marker(pytest.mark.browser)
