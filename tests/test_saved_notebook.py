"""What a saved notebook shows beside a widget."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from partywidgets.saved_notebook import ELSEWHERE, STILL, WIDGET_STATE, WIDGET_VIEW, has_last_states, kept, never_kept, refresh, stand_in


def notebook(*bundles: dict[str, Any]) -> dict[str, Any]:
    return {"cells": [{"cell_type": "code", "outputs": [{"output_type": "display_data", "data": bundle} for bundle in bundles]}]}


NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def widget(text: Any) -> dict[str, Any]:
    return {WIDGET_VIEW: {"model_id": "1"}, "text/plain": text, "text/html": "<pre>old</pre>"}


def test_our_widgets_get_their_rooms_state() -> None:
    """Each of our widgets is asked for by kind and room, however the text is stored; others are left alone."""
    asked: list[tuple[str, str]] = []

    def look(kind: str, room: str) -> tuple[str, str]:
        asked.append((kind, room))
        return f"the {kind}  \n\n", f"<b>{kind}</b>"

    ours = [widget("Terminal(room='demo')"), widget(['Terminal(room="it\'s", ', "sandbox='web')"]), widget("OpsDashboard(room='main')")]
    others = [
        widget("IntSlider(value=0)"),
        widget("Terminal(room=__import__('os'))"),
        widget("Terminal(room='\\x')"),
        widget("Terminal(room='\\N{NOTHING}')"),
        widget("Terminal(room='a\nb')"),
        {"text/plain": "Terminal(room='demo')"},
        widget(None),
    ]
    assert refresh(notebook(*ours, *others), look, at=NOON) == 3
    assert asked == [("terminal", "demo"), ("terminal", "it's"), ("ops", "main")]
    for bundle, kind in zip(ours, ("terminal", "terminal", "ops"), strict=True):
        assert bundle["text/html"].startswith(STILL)
        assert " as it was at 2026-11-29 12:00:00 UTC, not live</p>" in bundle["text/html"]
        assert bundle["text/html"].endswith(f"<b>{kind}</b></div></div>")
    saved = deepcopy(ours)
    it = "Terminal(room=\"it's\", sandbox='web')"
    plain = ["Terminal(room='demo')\nthe terminal", f"{it}\nthe terminal", "OpsDashboard(room='main')\nthe ops"]
    assert [bundle["text/plain"] for bundle in ours] == plain
    assert refresh(notebook(*ours, *others), look) == 0, "what was saved once is known again"
    assert ours == saved, "an hour later nothing else is to be seen: the notebook is saved as it was"


def test_what_is_saved_as_text_has_the_worst_rows() -> None:
    """Of a thousand rows the counts and those that stand first are kept, and how many lines are left out; HTML is in one element."""
    rows = "\n".join(f"crit high c{number}" for number in range(1000))
    state = kept("OpsDashboard(room='main')", f"1000 crit\n{rows}\n", '<div class="pw-still"><p>x</p></div>')
    lines = state["text/plain"].splitlines()
    assert (lines[:3], lines[-2:]) == (
        ["OpsDashboard(room='main')", "1000 crit", "crit high c0"],
        ["crit high c58", "… and 941 more lines"],
    )
    assert state["text/html"].count(STILL) == 1
    assert state["text/html"].endswith("OpsDashboard(room=&#x27;main&#x27;) as it was last, not live</p><p>x</p></div></div>")


def test_the_last_state_stands_in_for_a_widget_that_is_no_more() -> None:
    """Ours lose their view where no model is kept for it; others, and those whose model the notebook has, keep it."""
    ours = [widget("Terminal(room='demo')") | {"text/html": markup} for markup in (f"{STILL}<pre>$ </pre></div>", [STILL, "\n", "</div>"])]
    stays = [widget("IntSlider(value=0)"), {WIDGET_VIEW: {"model_id": "kept"}, "text/html": f"{STILL}</div>"}, {"text/html": STILL}]
    saved = notebook(*ours, *stays) | {"metadata": {"widgets": {WIDGET_STATE: {"state": {"kept": {}}}}}}
    assert stand_in(saved) == 2
    assert [list(bundle) for bundle in ours] == [["text/plain", "text/html"]] * 2
    assert [WIDGET_VIEW in bundle for bundle in stays] == [True, True, False]
    assert stand_in(saved) == 0


def test_a_recording_is_said_to_be_on_its_host() -> None:
    """No notebook holds it: without its kernel JupyterLab showed "model not found" in its place."""
    gone = widget("Recording(room='demo')") | {"text/html": never_kept("Recording(room='demo')")}
    saved = notebook(gone)
    assert has_last_states(saved)
    assert refresh(saved, lambda *_: ("", "")) == 0
    assert stand_in(saved, remedy="run this cell to go on") == 1
    assert "Recording(room=&#x27;demo&#x27;) stays on its host; here it is not live: run this cell to go on</p>" in gone["text/html"]


def test_a_kernel_keeps_the_widgets_that_it_has() -> None:
    """Of two only the one whose model the kernel lacks is replaced, and its line says what to do; what a screen says is left alone."""
    lives, gone = widget("Terminal(room='demo')"), widget("Terminal(room='demo')") | {WIDGET_VIEW: {"model_id": "2"}}
    saved = notebook(lives, gone)
    refresh(saved, lambda kind, room: ("x", "<pre>not live</p></pre>"), at=NOON)
    assert has_last_states(saved)
    assert stand_in(saved, {"1"}, remedy="run this <cell>") == 1
    assert WIDGET_VIEW in lives
    assert WIDGET_VIEW not in gone
    assert "12:00:00 UTC, not live: run this &lt;cell&gt;</p><pre>not live</p></pre>" in gone["text/html"]
    del lives[WIDGET_VIEW]
    assert not has_last_states(saved)


def test_a_room_that_is_not_here_changes_nothing() -> None:
    """Without a state the HTML stays, and nothing counts as changed."""
    bundle = widget("Terminal(room='demo')")
    assert refresh(notebook(bundle), lambda kind, room: None) == 0
    assert bundle["text/html"] == "<pre>old</pre>"


def test_a_room_of_another_host_gets_no_state_of_ours() -> None:
    """A dashboard of a team's host is not saved with the rows of the Jupyter Server's room of the same name."""
    away, here = widget("OpsDashboard(room='main')"), widget("OpsDashboard(room='main')")
    saved = notebook(away, here)
    saved["cells"][0]["outputs"][0]["metadata"] = {ELSEWHERE: True}
    saved["cells"][0]["outputs"][1]["metadata"] = {}
    assert refresh(saved, lambda kind, room: ("1 crit", "<b>ours</b>")) == 1
    assert away == widget("OpsDashboard(room='main')")
    assert "<b>ours</b>" in here["text/html"]


@pytest.mark.parametrize("broken", [{}, {"cells": None}, {"cells": [None, {"outputs": 3}, {"outputs": [None, {"data": []}]}]}])
def test_a_malformed_notebook_is_saved_as_it_is(broken: dict[str, Any]) -> None:
    """Whatever is saved, the hook does not stand in its way."""
    assert refresh(broken, lambda kind, room: ("x", "x")) == 0
