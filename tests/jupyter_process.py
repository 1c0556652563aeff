"""A real Jupyter Server in a process of its own, with directories of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "a-token-for-this-server-alone"
START_TIMEOUT = 90.0


@dataclass
class Answer:
    """What an HTTP request gave."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Jupyter:
    """A running server. `url` is its root with base URL, `rooms` the root of our routes."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    context: Any = None

    @property
    def rooms(self) -> str:
        return self.url + "partywidgets/"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes | None = None, token: str | None = None
    ) -> Answer:
        """A request below our routes (or, with a leading slash, below the server's root); redirects are answers."""
        url = self.url + path[1:] if path.startswith("/") else self.rooms + path
        given = dict(headers or {})
        if token is not None:
            given["Authorization"] = f"token {token}"
        return _ask(method, url, given, body, self.context)

    def as_owner(self, method: str, path: str, **options: Any) -> Answer:
        return self.ask(method, path, token=TOKEN, **options)

    def login_cookie(self) -> str:
        """The cookie of a browser that opened the page with the token."""
        answer = self.ask("GET", f"/?token={TOKEN}")
        found = [value for name, value in answer.headers.items() if name.lower() == "set-cookie"]
        return "; ".join(part.split(";")[0] for line in found for part in line.split("\n"))


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(method: str, url: str, headers: dict[str, str], body: bytes | None, context: Any) -> Answer:
    handlers: list[Any] = [_Stay, urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    opener = urllib.request.build_opener(*handlers)
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with opener.open(request, timeout=30) as answer:
            return Answer(answer.status, _headers(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _headers(error.headers), error.read())


def _headers(headers: Any) -> dict[str, str]:
    merged: dict[str, str] = {}
    for name, value in headers.items():
        merged[name] = f"{merged[name]}\n{value}" if name in merged else value
    return merged


def environ(folder: Path, **more: str) -> dict[str, str]:
    """An environment without anything of the Jupyter that these tests may run in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PARTYWIDGETS", "JUPYTER", "JPY", "IPYTHON"))}
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "PARTYWIDGETS_HOME": "state",
        "HOME": "home",
    }
    (folder / "home").mkdir(parents=True, exist_ok=True)
    return {**kept, **{name: str(folder / place) for name, place in places.items()}, **more}


@contextlib.contextmanager
def jupyter_server(
    folder: Path,
    *arguments: str,
    config: str = "",
    env: dict[str, str] | None = None,
    scheme: str = "http",
    context: Any = None,
    token: str = TOKEN,
) -> Iterator[Jupyter]:
    """Runs `jupyter server` on a free port until the block ends, then with SIGTERM, as people and Hubs stop it."""
    variables = environ(folder, **(env or {}))
    (folder / "config").mkdir()
    (folder / "root").mkdir()
    (folder / "config" / "jupyter_server_config.py").write_text(
        "c = get_config()\n"
        "c.ServerApp.jpserver_extensions = {'partywidgets': True, 'jupyterlab': False, 'jupyter_lsp': False, 'notebook_shim': False}\n"
        + config
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyter",
                "server",
                "--no-browser",
                "--allow-root",
                "--port=0",
                f"--IdentityProvider.token={token}",
                f"--ServerApp.root_dir={folder / 'root'}",
                *arguments,
            ],
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Jupyter(_url(folder, process, scheme), process, folder, context)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def _url(folder: Path, process: subprocess.Popen[bytes], scheme: str) -> str:
    """Where it listens, from the file that it writes when it does."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        for file in (folder / "runtime").glob("jpserver-*.json"):
            try:
                known = json.loads(file.read_text())
            except ValueError:
                continue
            # The file is written before the server listens.
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", known["port"]), timeout=1):
                return f"{scheme}://127.0.0.1:{known['port']}{known['base_url']}"
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the Jupyter Server did not start:\n{(folder / 'log').read_text()}")
