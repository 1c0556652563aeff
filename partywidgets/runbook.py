"""`jupyter nbconvert --to runbook`: a notebook as one HTML page that is readable without a kernel, a host or a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbconvert.exporters.html import HTMLExporter
from nbconvert.preprocessors import Preprocessor
from traitlets import default

from .last_states import show_last_states
from .saved_notebook import WIDGET_VIEW, as_text

TEMPLATES = Path(__file__).parent / "nbconvert"
"""Where the template `runbook` lies."""

_SCRIPT = re.compile(r"<script\b", re.IGNORECASE)
_FORMULA = re.compile(r"\$|\\\(|\\\[|\\begin\{")


class LastStates(Preprocessor):
    """Puts the last state of each of our widgets in its place; other widgets stay.

    For another format of nbconvert: `--SlidesExporter.preprocessors=partywidgets.runbook.LastStates`.
    """

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """nbconvert's hook. Tells the template what the page must load."""
        show_last_states(nb)
        resources["runbook"] = {"scripts": _needs_scripts(nb), "formulas": _needs_formulas(nb)}
        return nb, resources


class RunbookExporter(HTMLExporter):
    """As `--to html`, with the last states of our widgets in place of the widgets, and nothing loaded that nothing in the page needs."""

    export_from_notebook = "Runbook"

    @default("template_name")
    def _template_name_default(self) -> str:
        return "runbook"

    @default("extra_template_basedirs")
    def _extra_template_basedirs_default(self) -> list[str]:
        return [str(TEMPLATES)]

    def _init_preprocessors(self) -> None:
        super()._init_preprocessors()  # type: ignore[no-untyped-call]
        self.register_preprocessor(LastStates, enabled=True)


def _bundles(nb: Any) -> Iterator[dict[str, Any]]:
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            yield output.get("data", {})


def _needs_scripts(nb: Any) -> bool:
    """A widget, or an output that brings a script, may ask for require.js."""
    return any(
        WIDGET_VIEW in bundle or "application/javascript" in bundle or _SCRIPT.search(as_text(bundle.get("text/html")))
        for bundle in _bundles(nb)
    )


def _needs_formulas(nb: Any) -> bool:
    """Text that MathJax would set: in Markdown, and in outputs that are LaTeX, Markdown or HTML of others."""
    told = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    told += [as_text(bundle.get(kind)) for bundle in _bundles(nb) for kind in ("text/latex", "text/markdown")]
    return any(_FORMULA.search(text) for text in told)
