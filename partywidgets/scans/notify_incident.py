"""Services that open an incident with a problem and end it with the recovery: which they are, and the key by which they know it again."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

KEYS = {
    "firehydrant": "dedup",
    "goalert": "dedup",
    "goalerts": "dedup",
    "ilert": "dedup",
    "incidentio": "dedup",
    "jira": "alias",
    "opsgenie": "alias",
    "pagerduty": "dedup",
    "pagertree": "dedup",
    "signl4": "dedup",
    "splunk": "entity_id",
    "squadcast": "dedup",
    "victorops": "entity_id",
}
"""By the scheme of Apprise's URL, the name of its key. By an alias Apprise cannot end anything: `notify_alias` does."""
_OWN = frozenset(("alias", "dedup", "entity_id", "external_id", "thirdparty", "tid"))


def keyed(url: str, key: str) -> str | None:
    """The URL of one incident of a service; None where the service has none, or the URL says itself which (its own key, or an `action`
    other than `map`, which opens an incident with a problem and ends it with the recovery)."""
    own = urlsplit(url)
    given = _query(url)
    if given.keys() & _OWN or given.get("action", "map") != "map":
        return None
    if own.scheme == "https":
        url = _as_apprise_writes_it(url) or url
    name = KEYS.get(urlsplit(url).scheme)
    if name is None or (name == "entity_id" and own.scheme in KEYS and own.path.strip("/")):
        return None
    # Added, not written anew: Apprise takes a plus before a name for what it is.
    more = urlencode({**({} if "action" in _query(url) else {"action": "map"}), name: key})
    return f"{url}{'&' if _after_path(url) else '' if url.endswith('?') else '?'}{more}"


def _as_apprise_writes_it(url: str) -> str | None:
    """The Apprise URL of a service's own address, None where it knows none."""
    import apprise

    asset = apprise.AppriseAsset(async_mode=False, secure_logging=True)
    plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    return None if plugin is None else str(plugin.url(privacy=False))  # type: ignore[no-untyped-call]


def _query(url: str) -> dict[str, str]:
    return {name.lower(): value for name, value in parse_qsl(_after_path(url), keep_blank_values=True)}


def _after_path(url: str) -> str:
    """A URL's query. To Apprise a `#` begins a team or a channel, and nothing that ends the URL."""
    return url.partition("?")[2]
