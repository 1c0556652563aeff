/**
 * The views on a bare page, without Jupyter.
 *
 * Query: `host` the root URL of a host (needed), `view` a comma list of `terminal`, `table`, `dashboard` (`terminal,dashboard`), `room` the terminal's
 * room (`dev`), `sandbox` its id, `ticket.terminal` and `ticket.ops` first tickets, `token` a bearer token to fetch further ones with, `theme` `light` or
 * `dark`, `bundles` where the bundles are (`../partywidgets/static/`).
 */
import type { MountOptions, WidgetModel } from "./model.ts";
import { hostModel, type Ticket } from "./page/host-model.ts";

const query = new URLSearchParams(location.search);

async function fetchTicket(host: string, party: string, room: string): Promise<Ticket> {
  const token = query.get("token");
  const response = await fetch(new URL("tickets", host), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ party, room }),
  });
  if (!response.ok) throw new Error(`no ticket: ${response.status}`);
  return (await response.json()) as Ticket;
}

async function start(): Promise<void> {
  const theme = query.get("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const given = query.get("host");
  if (!given) {
    document.body.append("Add ?host=http://127.0.0.1:8787/ to this address.");
    return;
  }
  const host = given.endsWith("/") ? given : `${given}/`;
  const models: WidgetModel[] = [];
  for (const view of (query.get("view") ?? "terminal,dashboard").split(",")) {
    const terminal = view === "terminal";
    const el = document.createElement("div");
    el.id = view;
    document.body.append(el);
    const model = hostModel(
      {
        _endpoints: [{ kind: "remote", host_id: "", url: host }],
        _party: terminal ? "terminal-server" : "ops-monitor-broadcast",
        _room: terminal ? (query.get("room") ?? "dev") : "main",
        _query: terminal && query.get("sandbox") ? { sandboxId: query.get("sandbox") } : {},
        _options: {},
        selection: [],
      },
      (party, room) => fetchTicket(host, party, room),
    );
    models.push(model);
    const ticket = query.get(terminal ? "ticket.terminal" : "ticket.ops");
    const load = (name: string) => import(new URL(name, new URL(query.get("bundles") ?? "../partywidgets/static/", location.href)).href);
    const bundle = (await load(`${view}.js`)) as { mount(options: MountOptions): void };
    const controller = new AbortController();
    bundle.mount({ model, el, signal: controller.signal, tickets: ticket ? [{ ticket, until: Number.POSITIVE_INFINITY }] : [], load });
    Object.assign(window, { partywidgetsDev: { models, abort: () => controller.abort() } });
  }
}

void start();
