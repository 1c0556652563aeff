/**
 * The anywidget `_esm`: finds the bundle and mounts it.
 *
 * `initialize` awaits nothing, because every incoming comm message waits for it; it only keeps the tickets that the kernel
 * pushes right after comm_open. This text is saved with every widget instance, so it stays under 4 KB.
 */
import type { MountOptions, PushedTicket, WidgetModel } from "./model.ts";
import { type Endpoint, endpointsOf, httpRoot, thisPage } from "./transport/endpoint.ts";

type Bundle = { mount(options: MountOptions): void };
type Render = { model: WidgetModel; el: HTMLElement; signal?: AbortSignal };

const NO_HOST = "No live host: start the kernel and run this cell";
const ASK_MS = 5000;

const page = globalThis as Record<symbol, unknown>;
const HERE = Symbol.for("partywidgets");
page[HERE] ??= { bundles: new Map() };
// Jupyter makes a module of its own for every widget; what they share is here.
const shared = page[HERE] as { bundles: Map<string, Promise<Bundle>> };

/** Asks the kernel for the bundle; one buffer comes back. */
function askKernel(model: WidgetModel, name: string, signal: AbortSignal): Promise<Bundle> {
  return new Promise((resolve, reject) => {
    const id = crypto.getRandomValues(new Uint32Array(3)).join("-");
    const done = () => {
      clearTimeout(timer);
      model.off("msg:custom", answer);
      reject(Error(NO_HOST));
    };
    const answer = (message: { id?: string }, buffers: DataView[]) => {
      if (message.id !== id) return;
      if (buffers[0]) {
        const url = URL.createObjectURL(new Blob([buffers[0] as DataView<ArrayBuffer>], { type: "text/javascript" }));
        // Resolved now with what will be loaded: `done` rejects only a promise that has no answer.
        resolve(import(url).finally(() => URL.revokeObjectURL(url)));
      }
      done();
    };
    const timer = setTimeout(done, ASK_MS);
    signal.addEventListener("abort", done);
    model.on("msg:custom", answer);
    model.send({ op: "bundle", id, name });
  });
}

async function find(model: WidgetModel, signal: AbortSignal, attempt: number, other?: string): Promise<Bundle> {
  const { name: own, hash } = model.get("_bundle") as { name: string; hash: string };
  const name = other ?? own;
  const key = `${name}@${hash}`;
  let bundle = shared.bundles.get(key);
  if (!bundle) {
    bundle = load(model, name, hash, signal, attempt);
    shared.bundles.set(key, bundle);
    bundle.catch(() => shared.bundles.delete(key));
  }
  return bundle;
}

async function load(model: WidgetModel, name: string, hash: string, signal: AbortSignal, attempt: number): Promise<Bundle> {
  const page = thisPage();
  for (const endpoint of endpointsOf(model.get("_endpoints")) as Endpoint[]) {
    const root = httpRoot(endpoint, page);
    if (!root) continue;
    try {
      // A browser may remember that an address failed to import.
      return await import(`${root}static/${hash}/${name}${attempt ? `?${attempt}` : ""}`);
    } catch {
      // Not there, or of another version: the next candidate.
    }
  }
  return askKernel(model, name, signal);
}

/** The last state as text, under a line that says of when it is, and takes why it is not live. */
function still(model: WidgetModel, el: HTMLElement): (why: string) => void {
  const snapshot = model.get("_snapshot") as { text?: string; at?: string } | null;
  const when = snapshot?.at ? `at ${new Date(snapshot.at).toLocaleString()}` : "last";
  const was = snapshot?.text ? `As it was ${when}, not live` : "";
  const note = document.createElement("div");
  const pre = document.createElement("pre");
  pre.textContent = snapshot?.text ?? "";
  pre.style.cssText = "margin:0;max-height:400px;overflow:auto;font-size:12px;line-height:1.35";
  note.style.cssText = "font-size:12px;opacity:.75;padding:2px 0";
  const say = (why: string) => {
    note.textContent = [was, why].filter(Boolean).join(". ");
  };
  say("");
  el.append(note, pre);
  return say;
}

function wait(ms: number, model: WidgetModel, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      model.off("msg:custom", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    model.on("msg:custom", done);
    signal.addEventListener("abort", done);
  });
}

export default () => {
  const tickets: PushedTicket[] = [];
  return {
    initialize({ model }: { model: WidgetModel }) {
      model.on("msg:custom", (message: { op?: string; id?: string; ticket?: string; expires_in?: number }) => {
        if (message.op === "ticket" && !message.id && message.ticket) {
          tickets.push({ ticket: message.ticket, until: performance.now() + ((message.expires_in ?? 30) - 2) * 1000 });
        }
      });
    },
    render({ model, el, signal }: Render) {
      const ended = new AbortController();
      signal?.addEventListener("abort", () => ended.abort());
      const say = still(model, el);
      (async () => {
        let bundle: Bundle | undefined;
        for (let attempt = 0; !bundle && !ended.signal.aborted; attempt++) {
          bundle = await find(model, ended.signal, attempt).catch((error) => {
            if (!ended.signal.aborted) console.debug("partywidgets:", error);
            return undefined;
          });
          if (bundle || ended.signal.aborted) break;
          say(NO_HOST);
          await wait(Math.min(2000 << Math.min(attempt, 3), 15000), model, ended.signal);
        }
        // A view is rendered before it is put into the page, and what measures itself must be there.
        while (!el.isConnected && !ended.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 16));
        if (!bundle || ended.signal.aborted) return;
        el.replaceChildren();
        bundle.mount({ model, el, signal: ended.signal, tickets, load: (name, attempt = 0) => find(model, ended.signal, attempt, name) });
      })();
      return () => ended.abort();
    },
  };
};
