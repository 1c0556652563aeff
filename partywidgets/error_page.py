"""What people see who open a host's address in a browser and meet an error: its sentence, and how to get in."""

from __future__ import annotations

from html import escape

STYLE = (
    ":root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}"
    "body{max-width:44rem;margin:3rem auto;padding:0 1rem}pre{overflow-x:auto}"
)
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
CREDENTIAL = (
    "<p>The address bar of a browser sends no credential, so nothing can be seen here. Ask whoever runs this host for a token,"
    " or look into the file that they gave to <code>--token-file</code>.</p>"
)
FRONT = "<p>In a browser, on any machine: <code>URL</code> itself is the page of this host. It asks for a token.</p>"
WAYS = (
    "<p>Rooms have no page of their own; they are joined. <code>URL</code> is this page’s address up to the host’s name and port.</p>"
    '<p>In a notebook:</p><pre>import partywidgets as pw\npw.connect("URL", token=…)\npw.Terminal("ROOM")</pre>'
    "<p>In a shell:</p><pre>PARTYWIDGETS_TOKEN=… partywidgets attach ROOM --url URL</pre>"
)
TITLES = {401: "A credential is needed", 403: "This is not allowed", 404: "A partywidgets host runs here"}


def error_page(status: int, reason: str, *, front: bool = False) -> bytes:
    """The page for an error: it tells no more than `reason`, which may hold what a client sent, and runs and loads nothing.

    `front`: this host has a page at its own address.
    """
    title = TITLES.get(status, "This did not work")
    ways = (CREDENTIAL if status == 401 else "") + (WAYS + (FRONT if front else "") if status in (401, 404) else "")
    sentence = escape(reason[:1].upper() + reason[1:])
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return f"{head}<style>{STYLE}</style><main><h1>{title}</h1><p>{sentence}.</p>{ways}</main></html>\n".encode()
