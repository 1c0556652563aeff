"""A real JupyterHub with its own proxy, whose servers are processes of this user with our extension."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from program import end

from tests.node_packages import cache, installed, without
from tests.ports import kept_port

NODE = Path(__file__).resolve().parents[1] / "tests" / "hub"
# What the tests' own environment lacks. Beside it, not in it: JupyterHub asks for aiodns, and with that aiohttp resolves names otherwise.
PACKAGES = ["jupyterhub==6.1.1", "SQLAlchemy==2.1.9", "alembic==1.20.1", "Mako==1.4.3", "certipy==0.2.3", "pamela==1.2.0"]
PASSWORD = "a-password-for-this-hub"
TOKEN = "a-token-of-a-service-of-this-hub"
CONFIG = """
c = get_config()
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users = {{"alice", "bob"}}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {folder!r} + "/home/{{username}}"
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root", "--ServerApp.jpserver_extensions={{'jupyterlab': False, 'jupyter_lsp': False, 'notebook_shim': False}}"]
c.Spawner.default_url = "/partywidgets/"
c.Spawner.http_timeout = c.Spawner.start_timeout = 300
c.JupyterHub.default_url = "/hub/home"
c.JupyterHub.bind_url = "http://127.0.0.1:{ports[0]}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{ports[1]}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{ports[2]}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.services = [{{"name": "tests", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{"name": "tests", "scopes": ["admin:users", "admin:servers", "shares"], "services": ["tests"]}}]
"""


def packages() -> Path:
    """A folder with JupyterHub, filled once and kept from run to run."""
    place = cache() / "-".join(["hub", PACKAGES[0], f"{sys.version_info.major}.{sys.version_info.minor}"])
    if not (place / "filled").exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(place), *PACKAGES]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
        if done.returncode:
            without(f"pip cannot install {PACKAGES[0]}, JupyterHub cannot be tried: {done.stderr.strip()[-300:]}")
        (place / "filled").touch()
    return place


class Hub:
    """A running Hub for alice and bob."""

    def __init__(self, folder: Path) -> None:
        ports = [kept_port() for _ in range(3)]
        self.folder, self.url = folder, f"http://127.0.0.1:{ports[0]}"
        proxy = installed(NODE, "hub", untried="JupyterHub's proxy") / "node_modules/.bin/configurable-http-proxy"
        (folder / "jupyterhub_config.py").write_text(
            CONFIG.format(password=PASSWORD, folder=str(folder), python=sys.executable, ports=ports, proxy=str(proxy), token=TOKEN)
        )
        ours = ("JUPYTER", "JPY_", "PARTYWIDGETS")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"PYTHONPATH": str(packages())}
        self.log = folder / "hub.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub"], cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                # The proxy is there before the Hub, and answers in its place.
                if self.ask("GET", "/hub/api/") == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"JupyterHub did not start:\n{self.log.read_text()[-3000:]}")

    def ask(self, method: str, path: str, body: str | None = None) -> int:
        """The status of a request with the rights of a service that may do what an admin may."""
        content = None if body is None else body.encode()
        request = urllib.request.Request(self.url + path, content, {"Authorization": f"token {TOKEN}"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def stop(self) -> None:
        """Ends it with its proxy and its servers. A Hub that is ended while it starts leaves its proxy."""
        end(self.process, 60)
        proxy = self.folder / "jupyterhub-proxy.pid"
        if proxy.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(proxy.read_text()), signal.SIGTERM)
