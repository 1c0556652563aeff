"""`jupyter nbconvert --to runbook`, by real nbconvert."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter, SlidesExporter
from traitlets.config import Config

from partywidgets.runbook import RunbookExporter
from partywidgets.saved_notebook import WIDGET_STATE, WIDGET_VIEW

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def page_of(notebook: Any, exporter: HTMLExporter | None = None) -> str:
    page, _ = (exporter or RunbookExporter()).from_notebook_node(notebook)
    return str(page)


def notebook_of(*cells: Any, models: dict[str, Any] | None = None) -> Any:
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    if models is not None:
        notebook.metadata["widgets"] = {WIDGET_STATE: {"state": models, "version_major": 2, "version_minor": 0}}
    return notebook


def code(bundle: dict[str, Any]) -> Any:
    return nbformat.v4.new_code_cell("show()", outputs=[nbformat.v4.new_output("display_data", data=bundle)])


@pytest.mark.parametrize(("name", "shown"), [("ops_dashboard", "root-disk"), ("terminal", "hello from the room")])
def test_the_command_makes_a_page_that_loads_nothing(name: str, shown: str, tmp_path: Path) -> None:
    """As a person types it: the last states are in the page, and no widget, script or address that something is loaded from."""
    notebook = NOTEBOOKS / f"{name}.ipynb"
    command = [sys.executable, "-m", "nbconvert", "--to", "runbook", "--output-dir", str(tmp_path), str(notebook)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / f"{name}.html").read_text()
    assert shown in page
    assert 'class="pw-still"' in page
    assert WIDGET_VIEW not in page
    assert WIDGET_STATE not in page
    assert "<script src" not in page


@pytest.mark.parametrize(("name", "shown"), [("ops_dashboard", "root-disk"), ("terminal", "hello from the room")])
def test_plain_html_of_a_stored_notebook_has_the_last_states(name: str, shown: str) -> None:
    """nbconvert's own HTML too, which needs a CDN for each widget that the notebook has a model of."""
    page = page_of(nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4), HTMLExporter())
    assert shown in page
    assert 'class="pw-still"' in page
    assert WIDGET_VIEW not in page.partition("</head>")[2]


def test_what_a_target_said_is_text() -> None:
    """A dashboard that was saved without its HTML comes from its widget state, escaped as it was kept."""
    snapshot = {"html": '<div class="pw-still">crit &lt;script&gt;</div>', "at": ""}
    state = {"_party": "ops", "_room": "main", "_bundle": {}, "_snapshot": snapshot}
    models = {"1": {"model_module": "anywidget", "model_name": "AnyModel", "state": state}}
    page = page_of(notebook_of(code({WIDGET_VIEW: {"model_id": "1"}, "text/plain": "OpsDashboard(room='main')"}), models=models))
    assert "crit &lt;script&gt;" in page
    assert WIDGET_VIEW not in page


def test_a_slider_keeps_its_widget_manager() -> None:
    """A notebook with a widget of others has their view and state, and what draws them, as nbconvert has it."""
    models = {"2": {"model_module": "@jupyter-widgets/controls", "model_name": "IntSliderModel", "state": {"value": 3}}}
    page = page_of(notebook_of(code({WIDGET_VIEW: {"model_id": "2"}, "text/plain": "IntSlider(value=0)"}), models=models))
    assert f'<script type="{WIDGET_VIEW}">' in page
    assert '"IntSliderModel"' in page
    assert "require.min.js" in page


def test_formulas_and_scripts_have_what_they_need() -> None:
    """A page waits for nothing from elsewhere, unless something in it asks for that: a formula for MathJax, a script for require.js."""
    for nothing in (nbformat.v4.new_markdown_cell("# Disk"), code({"text/html": "<p>$5 to $6</p>"})):
        assert "<script src" not in page_of(notebook_of(nothing))
    for formula in (nbformat.v4.new_markdown_cell("$a^2$"), code({"text/latex": "$$x$$"})):
        assert "latest.js" in page_of(notebook_of(formula))
    for script in ({"text/html": '<script>require(["x"])</script>'}, {"application/javascript": "1"}):
        assert "require.min.js" in page_of(notebook_of(code(script)))


def test_another_template_and_another_format_work() -> None:
    """`--template classic` draws the same states, and the preprocessor alone serves other exporters of nbconvert."""
    notebook = nbformat.read(NOTEBOOKS / "ops_dashboard.ipynb", as_version=4)
    slides = SlidesExporter(config=Config(SlidesExporter={"preprocessors": ["partywidgets.runbook.LastStates"]}))
    for exporter in (RunbookExporter(template_name="classic"), slides):
        page = page_of(notebook, exporter)
        assert "as it was at" in page
        assert WIDGET_STATE not in page
