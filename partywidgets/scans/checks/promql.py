"""promql: what Prometheus answers to a query (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries)."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from pydantic import Field, field_validator

from ..model import Evidence, Metric, one_line
from .asking import Asking
from .base import CheckModel, Probe, ProbeContext
from .dial import DialError, TlsSettings
from .http import ALPN, HttpCheck, split_url, without_password

SERIES = 1000
"""How many series of an answer are kept; `more` says that there are others."""
SHOWN = 20
"""How many of them are metrics, and evidence of their own."""


class PromqlCheck(CheckModel):
    """An instant query to the Prometheus at `url` (its base, without `/api/v1`).

    Values: `value` (of a scalar, or of the first series; null without one), `series` (a list of `{name, labels, value}`), `count` (of the
    series kept, at most 1,000), `more`, `warnings`, `duration_ms`, `error`. Without conditions, `count > 0` must hold: a threshold on
    every series is `series.all(s, s.value < 90.0)`.
    """

    libraries: ClassVar[tuple[str, ...]] = ("httptools",)
    value_names: ClassVar[frozenset[str] | None] = frozenset({"value", "series", "count", "more", "warnings", "duration_ms", "error"})

    type: Literal["promql"] = "promql"
    url: str = Field(max_length=2048)
    query: str = Field(min_length=1, max_length=10_000)
    headers: dict[str, str] = Field(default_factory=dict)
    verify: bool = True
    ca_file: str | None = None

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if "${" not in url:
            split_url(url)
        if "?" in url or "#" in url:
            raise ValueError("the url is the base of a Prometheus, without a query: write for example http://prometheus:9090")
        return url

    @property
    def target(self) -> str:
        """Where, without a password, and the query."""
        return f"{without_password(self.url)}: {one_line(self.query)}"

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """The query has an answer, unless the author says what must hold."""
        return self.unless_asked(("count > 0", ("count", "value", "series", "error")))

    def tls_settings(self) -> tuple[TlsSettings, ...]:
        return ((self.verify, self.ca_file, ALPN),) if self.url.lower().startswith("https:") else ()

    async def probe(self, context: ProbeContext) -> Probe:
        """One query."""
        probe, left = Probe(self.target), context.deadline - asyncio.get_running_loop().time()
        # A duration of Prometheus' has no fraction: "9.5s" is refused.
        query = urlencode({"query": self.query, "timeout": f"{max(1, int(left * 1000))}ms"})
        request = (
            HttpCheck(
                id=self.id,
                url=f"{self.url.rstrip('/')}/api/v1/query?{query}",
                headers={"accept": "application/json", **self.headers},
                verify=self.verify,
                ca_file=self.ca_file,
            )
            if len(query) + len(self.url) < 2000
            else HttpCheck(
                id=self.id,
                url=f"{self.url.rstrip('/')}/api/v1/query",
                method="POST",
                body=query,
                headers={"accept": "application/json", "content-type": "application/x-www-form-urlencoded", **self.headers},
                verify=self.verify,
                ca_file=self.ca_file,
            )
        )
        async with Asking(probe, context, self.timeout) as asked:
            response, _ = await request.request(context, asked.phases)
            if response.status in (401, 403):
                raise DialError("auth", f"Prometheus answers {response.status}: it does not let this check ask")
            if response.truncated:
                raise DialError("parse", "the answer is longer than 1 MiB: let the query aggregate, or take topk of it")
            probe.values = answer_values(response.body, response.status)
        if probe.error is not None:
            return probe
        probe.values["duration_ms"] = asked.duration_ms
        series = probe.values["series"]
        probe.metrics.append(Metric("count", float(len(series))))
        for one in series[:SHOWN]:
            probe.metrics.append(Metric(one_line(one["name"], 200), one["value"]))
            probe.evidence.append(Evidence("promql-series", one_line(one["name"]), f"{one['name']} {one['value']}"))
        if series:
            probe.summary = f"{len(series)} series, the first is {one_line(series[0]['name'], 100)} {series[0]['value']:g}"
        else:
            probe.summary = probe.fault = probe.nothing = "the query finds no series"
        return probe


def answer_values(body: bytes, status: int) -> dict[str, Any]:
    """What conditions may ask about an answer of the API. Raises DialError for a refusal, and for what is no such answer."""
    try:
        answer = json.loads(body)
        if answer["status"] != "success":
            kind = "timeout" if answer.get("errorType") in ("timeout", "canceled") else "http"
            raise DialError("timeout" if kind == "timeout" else "http", one_line(f"Prometheus refuses the query: {answer.get('error')}"))
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "scalar":
            found = [{"metric": {}, "value": result}]
        elif kind == "vector":
            found = result
        else:
            raise DialError(
                "parse", f"the query gives a {one_line(str(kind), 40)}, not one value a series: take for example last_over_time"
            )
        series = []
        for one in found[: SERIES + 1]:
            if "value" not in one:
                raise DialError("parse", "the query gives native histograms: take histogram_quantile of it")
            labels = {str(name): str(value) for name, value in one["metric"].items()}
            series.append({"name": series_name(labels), "labels": labels, "value": float(one["value"][1])})
        warnings = [one_line(str(text)) for text in answer.get("warnings", ())][:10]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        if status != 200:
            raise DialError("http", f"HTTP {status}, and no answer of Prometheus' API: is the url its base?") from None
        raise DialError("parse", "this is not an answer of Prometheus' API: is the url its base?") from None
    kept = series[:SERIES]
    first = kept[0]["value"] if kept else None
    return {"value": first, "series": kept, "count": len(kept), "more": len(series) > SERIES, "warnings": warnings}


def series_name(labels: dict[str, str]) -> str:
    """A series as Prometheus writes it: `up{job="node"}`; `{}` for a scalar."""
    name = labels.get("__name__", "")
    rest = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(labels.items()) if key != "__name__")
    return f"{name}{{{rest}}}" if rest or not name else name
