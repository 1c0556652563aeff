"""Our widgets in a saved notebook, turned into their last state."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from partywidgets.last_states import leave_out_models, show_last_states
from partywidgets.saved_notebook import STILL, WIDGET_STATE, WIDGET_VIEW

ROWS = "<p>1 crit</p>"
SEEN = f"{STILL}{ROWS}</div>"


def ours(kind: str = "OpsDashboard", room: str = "main", **traits: Any) -> dict[str, Any]:
    state = {"_anywidget_id": f"partywidgets.widgets.x.{kind}", "_party": "p", "_room": room, "_bundle": {}, "_snapshot": {}, **traits}
    return {"model_module": "anywidget", "model_name": "AnyModel", "state": {"layout": f"IPY_MODEL_layout-{kind}", **state}}


def model(name: str, **state: Any) -> dict[str, Any]:
    return {"model_module": "@jupyter-widgets/controls", "model_name": name, "state": state}


def view(model_id: str, markup: str | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {WIDGET_VIEW: {"model_id": model_id}, "text/plain": "a widget"}
    if markup is not None:
        data["text/html"] = markup
    return {"output_type": "display_data", "metadata": {}, "data": data}


def notebook(models: dict[str, Any], *outputs: dict[str, Any]) -> dict[str, Any]:
    cells = [{"cell_type": "code", "outputs": list(outputs)}]
    return {"cells": cells, "metadata": {"widgets": {WIDGET_STATE: {"state": models, "version_major": 2}}}}


def data_of(saved: dict[str, Any]) -> list[dict[str, Any]]:
    return [output["data"] for output in saved["cells"][0]["outputs"]]


def test_the_saved_html_stands_in_place_of_the_widget() -> None:
    """Also where it is stored in lines; the widget state goes, with the layout that only ours had."""
    models = {"1": ours(), "layout-OpsDashboard": model("LayoutModel")}
    saved = notebook(models, view("1", SEEN[:20] + SEEN[20:]))
    saved["cells"][0]["outputs"][0]["data"]["text/html"] = [SEEN[:20], SEEN[20:]]
    assert show_last_states(saved) == 1
    (data,) = data_of(saved)
    assert WIDGET_VIEW not in data
    assert data["text/html"] == SEEN
    assert "widgets" not in saved["metadata"], "a page of it loads no widget manager"


def test_the_snapshot_stands_where_the_cell_has_only_the_name() -> None:
    """A notebook that was saved without the server extension: its widget state tells what was seen, and when."""
    snapshot = {"html": SEEN, "text": "1 crit", "at": "2026-11-28T03:04:05.678Z"}
    saved = notebook({"1": ours(_snapshot=snapshot)}, view("1", '<pre class="pw-still">OpsDashboard(room=&#x27;main&#x27;)</pre>'))
    assert show_last_states(saved) == 1
    markup = data_of(saved)[0]["text/html"]
    assert ROWS in markup
    assert "as it was at 2026-11-28 03:04:05 UTC" in markup


def test_where_nothing_was_kept_one_sentence_says_so() -> None:
    """Its name is text, whatever it holds."""
    saved = notebook({"1": ours("Terminal", "<b>demo")}, view("1", '<pre class="pw-still">Terminal</pre>'))
    assert show_last_states(saved) == 1
    markup = data_of(saved)[0]["text/html"]
    assert "Nothing was kept of Terminal(room=&#x27;&lt;b&gt;demo&#x27;)" in markup
    assert ".snapshot()" in markup


def test_where_not_even_a_model_was_kept_the_sentence_says_so() -> None:
    """JupyterLab saves none by itself: the page names the widget and asks the network for nothing that would draw it."""
    bare = view("1", '<pre class="pw-still" style="margin:0">OpsDashboard(room=&#x27;main&#x27;)</pre>')
    bare["data"]["text/plain"] = "OpsDashboard(room='main')"
    saved = notebook({}, bare)
    assert show_last_states(saved) == 1
    (data,) = data_of(saved)
    assert WIDGET_VIEW not in data
    assert "Nothing was kept of OpsDashboard(room=&#x27;main&#x27;)" in data["text/html"]
    assert ".snapshot()" in data["text/html"]


def test_a_recording_is_not_asked_to_be_saved_again() -> None:
    """It is never saved with a notebook, and has no snapshot(): whoever reads the page is told where it is."""
    bare = view("1", '<pre class="pw-still">Recording(room=&#x27;shop&#x27;)</pre>')
    bare["data"]["text/plain"] = "Recording(room='shop')"
    for saved in (notebook({}, bare), notebook({"1": ours("Recording", "shop")}, view("1", '<pre class="pw-still">Recording</pre>'))):
        assert show_last_states(saved) == 1
        markup = data_of(saved)[0]["text/html"]
        assert "Recording(room=&#x27;shop&#x27;) stays on its host; here it is not live" in markup
        assert "save the notebook" not in markup
        assert "snapshot()" not in markup


def test_widgets_of_others_stay_as_they_are() -> None:
    """Their view, state and layout, beside ours; what has no state at all is left alone, but for ours, which the HTML beside them tells."""
    slider = model("IntSliderModel", layout="IPY_MODEL_l")
    models = {"1": ours(), "layout-OpsDashboard": model("LayoutModel"), "2": slider, "l": model("LayoutModel")}
    stays = view("2", "<p>slider</p>")
    saved = notebook(models, view("1", SEEN), stays, view("nosuch", "<p>x</p>"), view("nosuch of ours", SEEN))
    assert show_last_states(saved) == 2
    assert data_of(saved)[1:3] == [stays["data"], view("nosuch", "<p>x</p>")["data"]]
    assert data_of(saved)[3] == {"text/plain": "a widget", "text/html": SEEN}
    assert saved["metadata"]["widgets"][WIDGET_STATE]["state"] == {"2": slider, "l": model("LayoutModel")}


def test_a_box_of_ours_is_shown_in_its_order() -> None:
    """Tabs with a terminal and a dashboard become the one below the other, and leave nothing behind."""
    models = {
        "1": ours("Terminal", "demo", _snapshot={"html": "<pre>$ </pre>", "at": ""}),
        "2": ours(_snapshot={"html": SEEN, "at": "yesterday"}),
        "box": model("VBoxModel", children=["IPY_MODEL_tab"], layout="IPY_MODEL_l"),
        "tab": model("TabModel", children=["IPY_MODEL_1", "IPY_MODEL_2"], titles=["a", "b"]),
        "l": model("LayoutModel"),
    }
    saved = notebook(models, view("box"))
    assert show_last_states(saved) == 2
    markup = data_of(saved)[0]["text/html"]
    assert markup.index("$ ") < markup.index("1 crit")
    assert "widgets" not in saved["metadata"]


def test_a_box_with_others_keeps_them_and_ours_come_below() -> None:
    """Ours leave the box, so that nothing is shown twice; a link to ours goes with them."""
    models = {
        "1": ours(_snapshot={"html": SEEN, "at": ""}),
        "2": model("IntSliderModel"),
        "tab": model("TabModel", children=["IPY_MODEL_1", "IPY_MODEL_2"], titles=["ours", "theirs"]),
        "link": model("LinkModel", source=["IPY_MODEL_1", "counts"], target=["IPY_MODEL_2", "value"]),
    }
    saved = notebook(models, view("tab"))
    assert show_last_states(saved) == 1
    box, below = data_of(saved)
    assert WIDGET_VIEW in box
    assert ROWS in below["text/html"]
    state = saved["metadata"]["widgets"][WIDGET_STATE]["state"]
    assert set(state) == {"2", "tab"}
    assert (state["tab"]["state"]["children"], state["tab"]["state"]["titles"]) == (["IPY_MODEL_2"], ["theirs"])


def test_ours_stay_in_the_state_where_a_container_that_is_not_known_holds_them() -> None:
    """A widget that refers to ours by a trait of its own is shown as it was: it could not be drawn without."""
    models = {"1": ours(), "grid": model("SplitModel", left="IPY_MODEL_1"), "2": ours("Terminal", "demo")}
    saved = notebook(models, view("grid"), view("2"))
    assert show_last_states(saved) == 1
    assert set(saved["metadata"]["widgets"][WIDGET_STATE]["state"]) == {"1", "grid"}


def test_what_an_output_widget_caught_is_shown() -> None:
    """`with widgets.Output(): display(ops)` holds outputs of its own."""
    models = {"1": ours(_snapshot={"html": SEEN, "at": ""}), "out": model("OutputModel", outputs=[view("1")])}
    saved = notebook(models, view("out"))
    assert show_last_states(saved) == 1
    assert ROWS in models["out"]["state"]["outputs"][0]["data"]["text/html"]


def test_twice_the_same_is_shown_twice_and_again_changes_nothing() -> None:
    """One widget in two cells."""
    saved = notebook({"1": ours()}, view("1", SEEN), view("1", SEEN))
    assert show_last_states(saved) == 2
    before = deepcopy(saved)
    assert show_last_states(saved) == 0
    assert saved == before


def test_a_model_is_left_out_where_its_last_state_stands_beside_it() -> None:
    """nbconvert prefers a model to the HTML beside it; the view stays, for the page that has the kernel. Those of others stay."""
    models = {"1": ours(), "layout-OpsDashboard": model("LayoutModel"), "2": model("IntSliderModel")}
    saved = notebook(models, view("1", SEEN), view("2"))
    assert leave_out_models(saved) == 1
    assert set(saved["metadata"]["widgets"][WIDGET_STATE]["state"]) == {"2"}
    assert data_of(saved)[0] == view("1", SEEN)["data"]
    assert leave_out_models(saved) == 0


def test_a_model_stays_where_something_shows_it_otherwise() -> None:
    """In a second cell without its state, in a box, in an `Output`, or where only its name stands."""
    caught = model("OutputModel", outputs=[view("3")])
    models = {
        "1": ours(), "2": ours(), "box": model("VBoxModel", children=["IPY_MODEL_2"]), "3": ours(), "out": caught, "4": ours(),
    }  # fmt: skip
    shown = [view("1", SEEN), view("1"), view("2", SEEN), view("box"), view("3", SEEN), view("out"), view("4", "<pre>4</pre>")]
    saved = notebook(models, *shown)
    before = deepcopy(saved)
    assert leave_out_models(saved) == 0
    assert saved == before


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"cells": None, "metadata": None},
        {"cells": [None, {"outputs": [None, {"data": None}, {"data": {WIDGET_VIEW: 3}}]}], "metadata": {"widgets": {WIDGET_STATE: 3}}},
        notebook({"1": {"state": None}, "2": None, "3": ours(_snapshot=3)}, view("1"), view("2")),
        notebook({"1": model("VBoxModel", children=["IPY_MODEL_1", 3])}, view("1")),
    ],
)
def test_a_malformed_notebook_is_left_as_it_is(broken: dict[str, Any]) -> None:
    """Whatever stands in it, the conversion goes on."""
    before = json.dumps(broken)
    assert show_last_states(broken) == 0
    assert leave_out_models(broken) == 0
    assert json.dumps(broken) == before
