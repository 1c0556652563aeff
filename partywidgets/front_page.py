"""The page at a host's own address, for people without a notebook: public code without data, which signs in and shows the rooms."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from . import bundles
from .exceptions import HostError

SCRIPT = "page.js"
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # Nothing but this host's own code runs, and nothing but this host is asked. xterm writes its colours into style elements and
    # attributes; with no source for images, fonts and frames a style has nowhere to send anything.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # It names the code of this version, and what a tab shows is nobody's to keep.
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class FrontPage:
    """That a host has a page. `jupyter_base_url` (with slashes at both ends): it stands in a Jupyter Server, whose login lets people in."""

    jupyter_base_url: str | None = None


def front_page(page: FrontPage, *, sign_in: bool) -> bytes:
    """The page's HTML; `sign_in`: this host wants a token. Raises HostError in a checkout whose front end is not built."""
    base_url = page.jupyter_base_url
    return _html(f'data-sign-in="{"token" if sign_in else "none"}"' if base_url is None else f'data-base-url="{escape(base_url)}"')


def login_page(login: str) -> bytes:
    """The same page for a browser that Jupyter does not know yet: its script keeps what stands behind the address's `#`, which no server is
    told and a login's form loses, and goes to the address `login`. Raises HostError as `front_page` does.
    """
    return _html(f'data-login="{escape(login)}"', f'<p><a href="{escape(login)}">Log in to Jupyter</a></p>')


def _html(by: str, without_script: str = "Live checks and terminals need JavaScript.") -> bytes:
    """Its addresses are relative: a proxy may show it below a path."""
    if SCRIPT not in bundles.bundle_names():
        raise HostError(f"this host has no page: {bundles.NOT_BUILT}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">'
        '<meta name="color-scheme" content="light dark"><title>partywidgets</title><link rel="icon" href="data:,">'
        f'<script type="module" src="static/{bundles.static_hash()}/{SCRIPT}"></script></head>'
        f"<body {by}><noscript>{without_script}</noscript></body></html>\n"
    ).encode()
