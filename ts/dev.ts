/**
 * The views on a bare page, without Jupyter.
 *
 * Query: `host` the root URL of a host (needed), `view` a comma list of `terminal`, `table`, `dashboard` (`terminal,dashboard`), `room` the terminal's
 * room (`dev`), `sandbox` its id, `ticket.terminal` and `ticket.ops` first tickets, `token` a bearer token to fetch further ones with, `theme` `light` or
 * `dark`, `bundles` where the bundles are (`../partywidgets/static/`).
 */
import type { MountOptions, WidgetModel } from "./model.ts";

const query = new URLSearchParams(location.search);

/** A model without a kernel: traits in a map, and a comm that only knows `ticket`. */
export function bareModel(traits: Record<string, unknown>, ticket: (party: string, room: string) => Promise<object>): WidgetModel {
  const values = new Map(Object.entries(traits));
  const handlers = new Map<string, Set<(...args: unknown[]) => void>>();
  const emit = (event: string, ...args: unknown[]) => {
    for (const handler of handlers.get(event) ?? []) handler(...args);
  };
  return {
    get: (name) => values.get(name),
    set(name, value) {
      values.set(name, value);
      emit(`change:${name}`);
    },
    save_changes() {},
    send(content) {
      const message = content as { op: string; id: string; sandbox?: string };
      if (message.op !== "ticket") return;
      const [party, room] = message.sandbox ? ["terminal-server", message.sandbox] : [values.get("_party"), values.get("_room")];
      ticket(String(party), String(room)).then(
        (answer) => emit("msg:custom", { ...answer, op: "ticket", id: message.id }, []),
        (error) => emit("msg:custom", { op: "ticket", id: message.id, error: String(error) }, []),
      );
    },
    on(event, handler) {
      if (!handlers.has(event)) handlers.set(event, new Set());
      handlers.get(event)!.add(handler as (...args: unknown[]) => void);
    },
    off(event, handler) {
      handlers.get(event)?.delete(handler as (...args: unknown[]) => void);
    },
  };
}

async function fetchTicket(host: string, party: string, room: string): Promise<object> {
  const token = query.get("token");
  const response = await fetch(new URL("tickets", host), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ party, room }),
  });
  if (!response.ok) throw new Error(`no ticket: ${response.status}`);
  return (await response.json()) as object;
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
    const model = bareModel(
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
