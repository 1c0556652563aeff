"""What a page's memory holds."""

from __future__ import annotations

from playwright.sync_api import Page

COUNT = r"""function () {
    let n = 0;
    for (const it of this) try { n += /\b(xterm|pw-terminal)\b/.test(it.className) } catch {}
    return n;
}"""
"""Prototypes are among the elements, whose class cannot be read."""


def terminals_in_memory(page: Page) -> int:
    """Elements of terminals on the heap after a collection, ours and xterm's, in the page or out of it."""
    inspector = page.context.new_cdp_session(page)
    inspector.send("HeapProfiler.collectGarbage")
    prototype = inspector.send("Runtime.evaluate", {"expression": "HTMLElement.prototype"})["result"]["objectId"]
    elements = inspector.send("Runtime.queryObjects", {"prototypeObjectId": prototype})["objects"]["objectId"]
    answer = inspector.send("Runtime.callFunctionOn", {"objectId": elements, "functionDeclaration": COUNT, "returnByValue": True})
    inspector.detach()
    return int(answer["result"]["value"])


def gone_from_memory(page: Page) -> None:
    """Waits until no terminal is left."""
    for _ in range(600):
        if terminals_in_memory(page) == 0:
            return
        page.wait_for_timeout(100)
    assert terminals_in_memory(page) == 0
