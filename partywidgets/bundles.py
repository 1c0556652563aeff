"""The front end's built files in `partywidgets/static/`: their common hash, and what is shown when they are not built."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from .exceptions import PartyError

STATIC = Path(__file__).parent / "static"
LOADER = "loader.js"
NOT_BUILT = "the front-end bundles are not built: run `./dev lab`, or `npm ci && npm run build` in ts/"

_cache: tuple[tuple[tuple[str, int, int], ...], str] | None = None


def names() -> list[str]:
    """The files' names, in order; hidden ones are not part of it."""
    return sorted(path.name for path in STATIC.iterdir() if path.is_file() and not path.name.startswith(".")) if STATIC.is_dir() else []


def static_hash() -> str:
    """The first 16 hex digits of a SHA-256 over the files' names and contents: a page never mixes two versions.

    A rebuilt file changes it at once.
    """
    global _cache
    found = []
    for name in names():
        status = (STATIC / name).stat()
        found.append((name, status.st_mtime_ns, status.st_size))
    key = tuple(found)
    if _cache is None or _cache[0] != key:
        digest = hashlib.sha256()
        for name, _, _ in key:
            content = (STATIC / name).read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        _cache = (key, digest.hexdigest()[:16])
    return _cache[1]


def read(name: str) -> bytes:
    """One file's content. Raises PartyError for a name that is not one of `names()`."""
    if name not in names():
        raise PartyError(f"there is no bundle {name[:80]!r}: {NOT_BUILT if not names() else 'use one of ' + ', '.join(names())}")
    return (STATIC / name).read_bytes()


def loader() -> str:
    """The anywidget `_esm`; when nothing is built, one that says so in the cell."""
    try:
        return (STATIC / LOADER).read_text(encoding="utf-8")
    except FileNotFoundError:
        return f"export default {{ render({{ el }}) {{ el.textContent = {json.dumps('partywidgets: ' + NOT_BUILT)}; }} }};\n"
