"""Ends an alert of Opsgenie or of Jira Service Management by the alias that it was opened with.

Apprise opens it with the alias, but would end it by the number of the request that opened it, as far as it remembers that: it says that a
recovery went out of which the service hears nothing. Both take the alias (https://docs.opsgenie.com/docs/alert-api, close an alert; the
same path of Jira is in https://jira.atlassian.com/browse/JSDCLOUD-14179).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from apprise import NotifyBase

ALERTS = {
    ("opsgenie", "us"): "https://api.opsgenie.com/v2/alerts",
    ("opsgenie", "eu"): "https://api.eu.opsgenie.com/v2/alerts",
    ("jira", "us"): "https://api.atlassian.com/jsm/ops/integration/v2/alerts",
    ("jira", "eu"): "https://api.atlassian.com/jsm/ops/integration/v2/alerts",
}
"""By the scheme of Apprise's URL and its region, where the service has its alerts."""


@dataclass(frozen=True, slots=True)
class Alert:
    """The alert that a plugin's URL names by its alias: the address that closes it, with the service's key, and who closes it."""

    address: str
    api_key: str
    source: str
    user: str | None
    verify: bool
    timeout: tuple[float, float]

    def close(self, note: str) -> int | None:
        """Ends it, with a note; what HTTP status the service answered, None: it gave no answer."""
        import requests  # Apprise brings it

        fields = {"source": self.source, "note": note, "user": self.user}
        try:
            answer = requests.post(
                self.address,
                params={"identifierType": "alias"},
                json={name: value for name, value in fields.items() if value},
                headers={"Authorization": f"GenieKey {self.api_key}"},
                verify=self.verify,
                timeout=self.timeout,
                allow_redirects=False,
            )
        except requests.RequestException:
            return None
        return answer.status_code


def alert_of(plugin: NotifyBase) -> Alert | None:
    """The alert that a recovery closes; None where the service ends none by an alias, or the URL wants something else of recoveries."""
    where = ALERTS.get((str(plugin.secure_protocol), str(getattr(plugin, "region_name", ""))))
    alias, means = getattr(plugin, "alias", None), getattr(plugin, "mapping", {}).get("success")
    if where is None or not alias or getattr(plugin, "action", "") != "map" or means != "close":
        return None
    return Alert(
        f"{where}/{quote(str(alias), safe='')}/close",
        str(getattr(plugin, "apikey", "")),
        plugin.app_desc,
        getattr(plugin, "user", None),
        plugin.verify_certificate,
        plugin.request_timeout,
    )
