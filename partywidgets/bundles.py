"""The browser's bundles: the files of `partywidgets/static`, and the hash that stands in their URLs."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

from .exceptions import HostError

STATIC = Path(__file__).parent / "static"
"""Where a build puts the bundles; empty in a checkout that was not built."""

MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".map": "application/json",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""What may be served, by suffix. Everything else in the directory is not a bundle."""

LOADER = "loader.js"
NOT_BUILT = "the front end is not built here, `./dev lab` builds it"

_lock = threading.Lock()
_known: tuple[tuple[tuple[str, int, int], ...], str] | None = None


def bundle_names(directory: Path = STATIC) -> list[str]:
    """The names of the bundles, sorted; hidden files and unknown suffixes are none."""
    if not directory.is_dir():
        return []
    return sorted(
        entry.name for entry in directory.iterdir() if entry.suffix in MEDIA_TYPES and not entry.name.startswith(".") and entry.is_file()
    )


def read(name: str, directory: Path = STATIC) -> bytes:
    """A bundle's content. Raises HostError for an unknown name: it is looked up in the list, never joined to a path as it came."""
    if name not in bundle_names(directory):
        raise HostError(f"there is no bundle called {name[:80]!r}: {NOT_BUILT}")
    return (directory / name).read_bytes()


def media_type(name: str) -> str:
    """The media type of a bundle's name."""
    return MEDIA_TYPES[Path(name).suffix]


def loader(directory: Path = STATIC) -> str:
    """The text of the anywidget `_esm`; in a checkout that was not built, one that says so in the cell."""
    if LOADER not in bundle_names(directory):
        return f"export default {{ render({{ el }}) {{ el.textContent = {json.dumps('partywidgets: ' + NOT_BUILT)}; }} }};\n"
    return read(LOADER, directory).decode("utf-8")


def static_hash(directory: Path = STATIC) -> str:
    """The first 16 hex digits of the SHA-256 over all bundles' names and contents: a URL with it in may be cached for ever.

    Computed again only when a name, a size or a modification time has changed.
    """
    global _known
    stamp = tuple(
        (str(directory / name), stat.st_size, stat.st_mtime_ns) for name in bundle_names(directory) for stat in [(directory / name).stat()]
    )
    with _lock:
        if _known is not None and _known[0] == stamp:
            return _known[1]
        digest = hashlib.sha256()
        for name in bundle_names(directory):
            content = (directory / name).read_bytes()
            digest.update(f"{len(name)}:{name}:{len(content)}:".encode())
            digest.update(content)
        _known = stamp, digest.hexdigest()[:16]
        return _known[1]
