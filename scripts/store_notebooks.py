"""Runs the notebooks in fresh kernels and stores what they show, readable for a viewer without a kernel.

A stored notebook carries a fingerprint of its own cells, so that a test can tell when it was edited and not run again.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from partywidgets.last_states import leave_out_models
from partywidgets.saved_notebook import kept

ROOT = Path(__file__).resolve().parents[1]
MEMORY_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def fingerprint(notebook: nbformat.NotebookNode) -> str:
    """16 hex digits over the cells' types and sources, in order."""
    digest = hashlib.sha256()
    for cell in notebook.cells:
        digest.update(f"{cell.cell_type}\0{cell.source}\0".encode())
    return digest.hexdigest()[:16]


def keep_last_states(notebook: nbformat.NotebookNode) -> None:
    """Puts each widget's last state beside it, as the Jupyter Server extension does when a person saves."""
    states = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            model = data.get("application/vnd.jupyter.widget-view+json", {}).get("model_id")
            snapshot = states.get(model, {}).get("state", {}).get("_snapshot", {})
            if snapshot.get("html"):
                name, at = data["text/plain"].partition("\n")[0], datetime.fromisoformat(snapshot["at"])
                data.update(kept(name, snapshot["text"], snapshot["html"], at=at))
    leave_out_models(notebook)


def store(path: Path) -> None:
    """Runs one notebook as strict nbval does, without a Jupyter Server, and writes it back."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory() as folder:
        # A neutral place and prompt: what is stored is read by everybody and shows nothing of this machine's folders.
        home, place = Path(folder) / "home", Path(folder) / "notebooks"
        home.mkdir()
        place.mkdir()
        (home / ".bashrc").write_text("PS1='sre:\\W$ '\n")
        os.environ |= {"PARTYWIDGETS_HOME": str(home / "state"), "HOME": str(home), "SHELL": "/bin/bash"}
        client = NotebookClient(
            notebook, timeout=120, kernel_name="python3", store_widget_state=True, resources={"metadata": {"path": str(place)}}
        )
        client.execute()
        if folder in nbformat.writes(notebook):
            raise SystemExit(f"{path.name}: an output or the widget state names the temporary folder that it ran in")
    keep_last_states(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if MEMORY_ADDRESS.search(str(output.get("data", {}).get("text/plain", ""))):
                raise SystemExit(f"{path.name}: a cell shows a memory address, which no run repeats: {output['data']['text/plain']!r}")
    notebook.metadata["partywidgets"] = {"cells": fingerprint(notebook)}
    nbformat.write(notebook, path)
    print(f"stored {path.name}")


def main() -> None:
    """Stores the notebooks named, or all."""
    for name in ("PARTYWIDGETS_URL", "PARTYWIDGETS_JUPYTER_URL"):
        os.environ.pop(name, None)
    names = sys.argv[1:] or [str(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    for name in names:
        store(Path(name))


if __name__ == "__main__":
    main()
