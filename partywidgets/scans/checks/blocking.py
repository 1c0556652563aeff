"""A look that blocks: it is made in a thread, so that a file system or a disk that hangs holds up that thread alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ...duration import format_duration
from ..calls import OverdueError, StillRunningError, shared_calls
from .base import CheckModel, ProbeContext
from .dial import DialError

T = TypeVar("T")


async def look_blocking(check: CheckModel, what: str, look: Callable[[], T], context: ProbeContext) -> T:
    """What `look` returns; `what` names what it looks at.

    Raises DialError when there is no answer by the deadline, or while an earlier look of this check still hangs; else what `look` raises.
    """
    left = context.deadline - asyncio.get_running_loop().time()
    try:
        seen: T = await shared_calls().call(f"{check.type} {check.id}: {what}", look, left)
        return seen
    except OverdueError:
        raise DialError("timeout", f"{what}: no answer within {format_duration(check.timeout)}") from None
    except StillRunningError:
        raise DialError("timeout", f"{what}: the last look still hangs") from None
