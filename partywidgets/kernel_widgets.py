"""Which widgets the kernels of a notebook have: one that was restarted has none of those that the notebook shows.

A page that is opened on it would say "model not found" of them. The kernel itself is asked, on its control channel, where it answers while
a cell runs.
"""

from __future__ import annotations

import asyncio
import time
from queue import Empty
from typing import Any

ANSWER_SECONDS = 2.0
"""How long a kernel may take to answer, since whoever opens the notebook waits for it: one that has just been started takes a moment."""


async def widgets_of(serverapp: Any, path: str) -> set[str] | None:
    """The models that the kernels of the notebook at `path` have, by their ids; None where a kernel did not say. No kernel has none."""
    # A drive's name stands before a path where documents are shared.
    sessions = [session for session in await serverapp.session_manager.list_sessions() if _place(session.get("path", "")) == _place(path)]
    kernels = [serverapp.kernel_manager.get_kernel(session["kernel"]["id"]) for session in sessions if session.get("kernel")]
    known = set[str]()
    for models in await asyncio.gather(*map(_models, kernels)):
        if models is None:
            return None
        known |= models
    return known


def _place(path: object) -> str:
    return str(path).rpartition(":")[2].strip("/")


async def _models(kernel: Any) -> set[str] | None:
    """Those of one kernel."""
    client = kernel.client()
    client.start_channels(shell=False, iopub=False, stdin=False, hb=False, control=True)
    try:
        request = client.session.msg("comm_info_request", {"target_name": "jupyter.widget"})
        client.control_channel.send(request)
        until = time.monotonic() + ANSWER_SECONDS
        while (left := until - time.monotonic()) > 0:
            reply = await client.control_channel.get_msg(timeout=left)
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return set(reply["content"]["comms"]) if reply["content"].get("status") == "ok" else None
    except Empty:
        pass
    finally:
        client.stop_channels()
    return None
