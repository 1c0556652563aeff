"""What a shell does that is not at its prompt, in words for whoever waits for it."""

from __future__ import annotations

from .running import Request, Running, short
from .shell import behind_echo, printed
from .shell_state import ShellState
from .typed_marks import SEEN_BYTES
from .waiting import asks, prompts


def doing(shell: ShellState, running: Running | None, request: Request) -> str:
    """What the request's command does that has not ended, as far as its output tells; "" for nothing that needs a person."""
    if shell.full_screen:
        return "has opened a full-screen program"
    began = request.typed_at if running is None else running.offset
    end = shell.ring.end
    raw = shell.output(max(began, end - SEEN_BYTES), end)
    # A shell that does not tell when a command begins: its echo is not output.
    text = behind_echo(raw, request.line) if running is None and end - began <= SEEN_BYTES else printed(raw)
    line = (text or "").split("\n")[-1].strip()
    return f"shows {line[-80:]!r}" if asks(line, raw) else ""


def busy(shell: ShellState, running: Running | None, request: Request | None) -> str:
    """Why nothing can be typed at its prompt. `running` is the command that it runs, `request` what `run` typed last."""
    if running is None and request is not None:
        return f"the shell is busy with `{short(request.command)}`"
    if running is None:
        line = shell.last_line()
        foreign = f"a prompt without marks ({line[-80:]!r}): run(…, inside=True) types into it" if prompts(line) else "no prompt yet"
        return f"the shell shows {foreign}"
    name = short(running.command)
    if shell.source == "shell" and shell.at_prompt.is_set():
        return (
            f"there is a prompt, but the shell never told that `{name}` ended: leave the shell that was "
            "started in it, or restart the terminal where something replaced PROMPT_COMMAND or precmd"
        )
    line = "" if shell.modes.alternate else shell.last_line(running.offset)
    if prompts(line):
        return f"`{name}` has opened a shell ({line[-80:]!r}): leave it, or use run(…, inside=True) to type into it"
    return f"the shell is busy with `{name}`" + (f", which shows {line[-80:]!r}" if asks(line) else "")
