"""The bundles that an app serves."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from yarl import URL

from partywidgets import bundles

from .running_app import running


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of bundles in place of the package's own."""
    directory = tmp_path / "static"
    directory.mkdir()
    (directory / "loader.js").write_text("export default {}")
    (directory / "terminal.js").write_text("export function mount() {}")
    (directory / ".gitkeep").write_text("")
    (directory / "secret.py").write_text("password = 1")
    (tmp_path / "outside.js").write_text("outside")
    for function in (bundles.bundle_names, bundles.read, bundles.loader, bundles.static_hash):
        monkeypatch.setattr(function, "__defaults__", (directory,))
    return directory


async def test_bundles_are_served_under_their_hash_to_any_page(built: Path, tmp_path: Path) -> None:
    """Public code: cached for ever, readable by every Origin, named by its content."""
    async with running(tmp_path / "storage") as app:
        path = f"/static/{bundles.static_hash()}/terminal.js"
        async with app.http.get(app.url + path, headers={"Origin": "http://evil.example"}) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "immutable" in answer.headers["Cache-Control"]
            assert await answer.text() == "export function mount() {}"
        before = bundles.static_hash()
        (built / "terminal.js").write_text("export function mount(options) {}")
        assert bundles.static_hash() != before
        async with app.http.get(app.url + path) as answer:
            assert answer.status == 404, "the URL of another build is gone, not another build's code"


async def test_nothing_but_bundles_is_served_below_static(built: Path, tmp_path: Path) -> None:
    """No way out of the directory, no hidden file, no other kind of file, no listing."""
    async with running(tmp_path / "storage") as app:
        root = f"{app.url}/static/{bundles.static_hash()}"
        for name in (
            "../outside.js",
            "%2e%2e/outside.js",
            "..%2foutside.js",
            "..%5coutside.js",
            "%2e%2e%2foutside.js",
            "./loader.js",
            "loader.js/",
            "loader.js%00",
            "LOADER.js",
            "/etc/passwd",
            "%2fetc%2fpasswd",
            ".gitkeep",
            "secret.py",
            "",
            ".",
            "missing.js",
        ):
            async with app.http.get(URL(f"{root}/{name}", encoded=True)) as answer:
                assert answer.status == 404, name
                assert await answer.text() != "outside"


def test_the_static_hash_is_of_names_and_contents(built: Path) -> None:
    """16 hex digits of SHA-256; hidden files and other kinds do not count."""
    digest = hashlib.sha256()
    for name, content in (("loader.js", b"export default {}"), ("terminal.js", b"export function mount() {}")):
        digest.update(f"{len(name)}:{name}:{len(content)}:".encode() + content)
    assert bundles.static_hash() == digest.hexdigest()[:16]
    (built / "secret.py").write_text("changed")
    assert bundles.static_hash() == digest.hexdigest()[:16]
