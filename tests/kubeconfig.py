"""A kubeconfig for a peer of the tests'."""

from __future__ import annotations

import json
from pathlib import Path


def kubeconfig(folder: Path, port: int) -> str:
    """Writes one with the context `test`, for an API on this port of loopback; its path."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    return str(folder / "kubeconfig")
