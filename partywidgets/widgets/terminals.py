"""The terminals that are open on the notebook's host, as a DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..client.handle import Handle
from ..runtime import runtime
from ..spelling import says_arguments

if TYPE_CHECKING:
    from pandas import DataFrame


@says_arguments
def terminals() -> Handle[DataFrame]:
    """The terminals that are open on this notebook's host, those with people first, as a DataFrame: `await pw.terminals()`;
    `pw.Terminal(room)` joins one.

    Columns: `room`, `sandbox` (its id, "" before anybody opened one), `state` (`idle starting running ended failed`), `people`. At most
    1,000; `attrs["more"]` is how many are left out, `attrs["sandboxes"]` has the ids in which you may open one. Awaiting raises
    RefusedError without a role in terminals, HostError when no host can be reached.
    """
    own = runtime()
    address = own.address

    async def work() -> DataFrame:
        import pandas as pd

        listed = await own.request(address, "GET", "api/terminals")
        frame = pd.DataFrame(listed["terminals"], columns=["room", "sandbox", "state", "people"])
        frame["people"] = frame["people"].astype("Int64")
        frame.attrs.update(sandboxes=listed["sandboxes"], more=listed["more"])
        return frame

    return Handle(own.thread.submit(work()), "terminals", loop=own.thread.loop)
