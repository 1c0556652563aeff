"""`./dev lab`: JupyterLab as its options and settings start it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from conftest import JupyterServer
from lab import Lab
from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]


def test_its_page_asks_for_nothing_that_is_not_there(start_jupyter: Callable[..., JupyterServer], browser: Browser, tmp_path: Path) -> None:
    """Every request of the page is answered, and its console holds no error."""
    loader = SourceFileLoader("dev_script", str(ROOT / "dev"))
    spec = spec_from_loader("dev_script", loader)
    assert spec is not None
    dev = module_from_spec(spec)
    loader.exec_module(dev)
    jupyter = start_jupyter(options=dev.lab_options(tmp_path / "settings"))
    page = browser.new_page()
    refused: list[str] = []
    page.on("response", lambda response: refused.append(f"{response.status} {response.url}") if response.status >= 400 else None)
    lab = Lab(page, jupyter.url, jupyter.token)
    lab.open("notebooks/terminal.ipynb")
    page.wait_for_load_state("networkidle")
    assert refused == []
    assert [line for line in lab.console if line.startswith(("error", "pageerror"))] == []
