import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import loader from "./loader.ts";
import { FakeKernel, soon } from "./testing/kernel.ts";

const MOUNTED =
  'data:text/javascript,export function mount({el,tickets}){el.textContent="mounted "+JSON.stringify(tickets.map(t=>t.ticket))}';
const TRAITS = {
  _endpoints: [{ kind: "comm", host_id: "h" }],
  _snapshot: { text: "CPU ok\n<img src=x onerror=alert(1)>", html: "<b>never</b>", at: "2026-11-23T06:00:00.000Z" },
};
let kernel: FakeKernel;
let el: HTMLElement;
let controller: AbortController;
let count = 0;

beforeEach(() => {
  kernel = new FakeKernel({ ...TRAITS, _bundle: { name: "terminal.js", hash: `h${++count}` } });
  el = document.createElement("div");
  document.body.replaceChildren(el);
  controller = new AbortController();
  vi.spyOn(URL, "createObjectURL").mockReturnValue(MOUNTED);
  vi.spyOn(URL, "revokeObjectURL").mockReturnValue();
  vi.spyOn(console, "debug").mockImplementation(() => {});
});
afterEach(() => {
  controller.abort();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const giveBundle = ({ op, id }: { op?: string; id?: string }) => {
  if (op === "bundle") queueMicrotask(() => kernel.push({ op: "bundle", id: id!, name: "terminal.js" }, "export function mount() {}"));
};

describe("initialize", () => {
  it("returns at once and keeps the ticket that the kernel pushes", async () => {
    const widget = loader();
    expect(widget.initialize({ model: kernel })).toBeUndefined();
    kernel.push({ op: "ticket", ticket: "first", expires_in: 30 });
    kernel.push({ op: "ticket", id: "of a request", ticket: "not pushed", expires_in: 30 });
    kernel.answer = giveBundle;
    widget.render({ model: kernel, el, signal: controller.signal });
    await soon(() => expect(el.textContent).toBe('mounted ["first"]'));
  });
});

describe("render", () => {
  it("shows the last state as text while it looks", () => {
    loader().render({ model: kernel, el, signal: controller.signal });
    expect(el.querySelector("pre")!.textContent).toContain("<img src=x");
    expect(el.querySelector("img, b")).toBeNull();
  });

  it("says that the state is a saved one, and of when, before anything else is there", () => {
    loader().render({ model: kernel, el, signal: controller.signal });
    const when = new Date(TRAITS._snapshot.at).toLocaleString();
    expect(el.firstElementChild!.textContent).toBe(`As it was at ${when}, not live`);
    const empty = document.createElement("div");
    kernel.set("_snapshot", {});
    loader().render({ model: kernel, el: empty, signal: controller.signal });
    expect(empty.textContent).toBe("");
  });

  it("asks the kernel for the bundle by name", async () => {
    kernel.answer = giveBundle;
    loader().render({ model: kernel, el, signal: controller.signal });
    await soon(() => expect(el.textContent).toBe("mounted []"));
    expect(kernel.ops("bundle")[0]).toMatchObject({ name: "terminal.js" });
  });

  it("mounts only when the view is in the page", async () => {
    kernel.answer = giveBundle;
    el.remove();
    loader().render({ model: kernel, el, signal: controller.signal });
    await soon(() => expect(kernel.ops("bundle")).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(el.textContent).toContain("CPU ok");
    document.body.append(el);
    await soon(() => expect(el.textContent).toBe("mounted []"));
  });

  it("loads a bundle once for two views", async () => {
    kernel.answer = giveBundle;
    const other = document.createElement("div");
    document.body.append(other);
    const widget = loader();
    widget.render({ model: kernel, el, signal: controller.signal });
    widget.render({ model: kernel, el: other, signal: controller.signal });
    await soon(() => expect(other.textContent).toBe("mounted []"));
    expect(kernel.ops("bundle")).toHaveLength(1);
  });

  it("gives a bundle the way to another one, loaded once and only when it is asked for", async () => {
    const loads = vi.spyOn(URL, "createObjectURL");
    loads.mockReturnValue("data:text/javascript,export function mount({load,el}){el.load=load;el.textContent='mounted'}//other");
    kernel.answer = giveBundle;
    loader().render({ model: kernel, el, signal: controller.signal });
    await soon(() => expect(el.textContent).toBe("mounted"));
    expect(kernel.ops("bundle").map(({ name }) => name)).toEqual(["terminal.js"]);
    loads.mockReturnValue("data:text/javascript,export const openTerminal = 42");
    const { load } = el as HTMLElement & { load?: (name: string, attempt?: number) => Promise<{ openTerminal: number }> };
    expect((await load!("another.js")).openTerminal).toBe(42);
    await load!("another.js", 1);
    expect(kernel.ops("bundle").map(({ name }) => name)).toEqual(["terminal.js", "another.js"]);
  });

  it("keeps the last state with one line when nobody answers, and mounts when the kernel speaks", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    loader().render({ model: kernel, el, signal: controller.signal });
    await vi.advanceTimersByTimeAsync(5000);
    expect(el.textContent).toContain("CPU ok");
    expect(el.textContent).toMatch(/^As it was at .*, not live\. No live host: start the kernel and run this cell/);
    kernel.answer = giveBundle;
    kernel.push({ op: "ticket", ticket: "t", expires_in: 30 });
    vi.useRealTimers();
    await soon(() => expect(el.textContent).toMatch(/^mounted/));
  });

  it("says so when the kernel refuses, and asks nothing after the view is gone", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    kernel.answer = ({ op, id }) =>
      op === "bundle" && queueMicrotask(() => kernel.push({ op: "bundle", id: id!, error: "no such bundle" }));
    const dispose = loader().render({ model: kernel, el, signal: controller.signal });
    await vi.advanceTimersByTimeAsync(10);
    expect(el.textContent).toContain("No live host");
    dispose();
    const asked = kernel.ops("bundle").length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(kernel.ops("bundle")).toHaveLength(asked);
    expect(kernel.handlers("msg:custom")).toBe(0);
  });
});
