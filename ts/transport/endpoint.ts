/** The candidates of a widget's `_endpoints`, and the addresses that they mean for this page. */

export interface Endpoint {
  kind: "server" | "loopback" | "remote" | "comm";
  host_id: string;
  /** `server`: below Jupyter's base URL, `partywidgets/` unless it says otherwise. */
  path?: string;
  /** `loopback` and `remote`: the root below which the routes stand. */
  url?: string;
}

export type TransportName = Endpoint["kind"];

/** What decides which candidates this page may try. */
export interface Page {
  href: string;
  /** Jupyter's base URL with slashes at both ends; null outside Jupyter. */
  baseUrl: string | null;
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** This page: Lab, Notebook 7 and Voila keep `baseUrl` in `#jupyter-config-data`, nbclassic in `data-base-url`. */
export function thisPage(): Page {
  return { href: location.href, baseUrl: jupyterBaseUrl() };
}

function jupyterBaseUrl(): string | null {
  const config = document.getElementById("jupyter-config-data")?.textContent;
  let base: unknown = document.body?.dataset?.baseUrl;
  if (config) {
    try {
      base = (JSON.parse(config) as { baseUrl?: unknown }).baseUrl ?? base;
    } catch {
      // A page with a broken config is not a Jupyter page for us.
    }
  }
  if (typeof base !== "string" || base === "") return null;
  const path = base.startsWith("http") ? new URL(base).pathname : base;
  return `/${path.replace(/^\/+|\/+$/g, "")}/`.replace("//", "/");
}

/** The root of an endpoint's HTTP routes, with a slash at its end; null when this page cannot reach it (comm has none). */
export function httpRoot(endpoint: Endpoint, page: Page): string | null {
  if (endpoint.kind === "server") {
    if (page.baseUrl === null) return null;
    const path = endpoint.path && !endpoint.path.startsWith("/") ? endpoint.path : "partywidgets/";
    return withSlash(new URL(page.baseUrl + path, page.href).href);
  }
  if (!endpoint.url || !/^https?:/.test(endpoint.url)) return null;
  const own = new URL(page.href);
  // ws:// and http:// from an https page are mixed content, and a remote page's 127.0.0.1 is another machine.
  if (endpoint.kind === "loopback" && !(own.protocol === "http:" && LOOPBACK.has(own.hostname))) return null;
  if (own.protocol === "https:" && endpoint.url.startsWith("http:")) return null;
  return withSlash(endpoint.url);
}

/** Why a room at a remote host is carried by the kernel, with what helps, for whoever reads over the badge; empty where nothing else was to be expected. */
export function whyRelayed(endpoints: Endpoint[], page: Page): string {
  const url = endpoints.find(({ kind }) => kind === "remote")?.url;
  if (!url) return "";
  const { origin, protocol } = new URL(page.href);
  return protocol === "https:" && url.startsWith("http:")
    ? `A page on https may not go straight to ${url}: serve that host with TLS`
    : `${url} gave this page no answer: its config may have to name ${origin} under auth.origins`;
}

function withSlash(url: string): string {
  return url.endsWith("/") ? url : `${url}/`;
}

/** `_endpoints` as a list, whatever the model holds. */
export function endpointsOf(value: unknown): Endpoint[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is Endpoint => typeof item === "object" && item !== null && typeof (item as Endpoint).kind === "string");
}
