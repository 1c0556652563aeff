"""What a terminal shows, for whoever asks: as text, as HTML, as a file may hold it, and as a recording goes on with it."""

from __future__ import annotations

from collections.abc import Callable

from ..output_redaction import redact_html
from .recording_thread import off_loop, redacted
from .screen import SCREEN_BYTES, ScreenClosed
from .settings import TerminalSettings
from .stream import Stream


class Showing:
    """Reads the screen of `stream`; one that ended meanwhile shows nothing. `unsaved` is the policy of the sandbox of the moment.

    `saved` everywhere: as a file may hold it, so without secrets, and empty where the policy says that nothing is saved.
    """

    def __init__(self, stream: Stream, settings: TerminalSettings, *, unsaved: Callable[[], bool]) -> None:
        self._stream, self._settings, self._unsaved = stream, settings, unsaved

    async def text(self, *, saved: bool = False) -> str:
        """The screen as plain text."""
        if saved and self._unsaved():
            return ""
        try:
            text = await self._stream.screen.text()
        except ScreenClosed:
            return ""
        return await redacted(text, self._settings.known_secrets()) if saved else text

    async def html(self, *, saved: bool = False) -> str:
        """The screen as HTML with inline style and without script."""
        if saved and self._unsaved():
            return ""
        try:
            markup = await self._stream.screen.html()
        except ScreenClosed:
            return ""
        if not saved or not markup:
            return markup
        known = self._settings.known_secrets()
        return await off_loop(lambda: redact_html(markup, known))

    async def drawing(self) -> bytes | None:
        """What draws the screen as it is now, the output up to this moment included; None where output came faster than it was drawn.

        Raises ScreenClosed when another screen took its place.
        """
        stream, screen = self._stream, self._stream.screen
        drawing = None
        for _ in range(5):
            capture = await screen.capture(SCREEN_BYTES)
            if stream.ring.holds(capture.offset):
                drawing = capture.drawing + stream.ring.read(capture.offset)
                break
        if screen is not stream.screen:
            raise ScreenClosed
        return drawing
