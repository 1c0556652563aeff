import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OpsMessage, OpsWindow, RowsQuery, WindowQuery } from "../ops-protocol.ts";
import type { Result } from "../result.ts";
import { noChanges } from "../rooms/changes.ts";
import { OpsStore } from "../rooms/ops-store.ts";
import { soon } from "../testing/kernel.ts";
import type { RowActions } from "./action-bar.ts";
import { ScanTable } from "./scan-table.ts";
import { readLook, sortedBy, writeLook } from "./table-look.ts";

const { rows: ROWS } = JSON.parse(readFileSync("../tests/vectors/table.json", "utf8")) as { rows: Result[] };
const ROW: Result = { ...ROWS[0]!, seq: 1, ttl_s: null, labels: {} };

describe("the grid", () => {
  let store: OpsStore;
  let table: ScanTable;
  let abort: AbortController;
  let views: Record<string, unknown>[];
  let asked: WindowQuery[];
  let listed: RowsQuery[];
  let selections: string[][];

  const grid = () => table.node.querySelector<HTMLElement>(".pw-grid")!;
  const lines = () => [...table.node.querySelectorAll<HTMLElement>(".pw-canvas [role=row]")];
  const titles = () => lines().map((node) => node.dataset.fingerprint ?? node.dataset.group);
  const press = (key: string, more: KeyboardEventInit = {}) =>
    grid().dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
  const active = () => document.getElementById(grid().getAttribute("aria-activedescendant") ?? "");
  const header = (name: string) =>
    [...table.node.querySelectorAll<HTMLElement>("[role=columnheader]")].find((node) => node.textContent?.startsWith(name));

  function put(...rows: Result[]): void {
    const changes = noChanges();
    store.apply({ type: "check-result", data: { seq: 1, scan_id: "s", done: 1, total: 1, results: rows } } as OpsMessage, changes);
    table.draw(changes);
  }

  function show(view: Record<string, unknown> = {}): void {
    table = new ScanTable(store, 300, view, {
      selection: (fingerprints) => selections.push(fingerprints),
      open() {},
      view: (changed) => views.push(changed),
      window: async (query) => {
        asked.push(query);
        return { id: "", ok: true };
      },
      rows: async (query) => {
        listed.push(query);
        return { id: "", ok: true, result: { columns: ["title", "duration_ms"], rows: [["=cmd", 3.5]] } };
      },
      actions: {} as RowActions,
    });
    document.body.replaceChildren(table.node);
    table.open(abort.signal);
  }

  beforeEach(() => {
    store = new OpsStore();
    abort = new AbortController();
    views = [];
    asked = [];
    listed = [];
    selections = [];
    show();
  });
  afterEach(() => abort.abort());

  it("says why it is empty: nothing has come, there are no checks, they were not looked at yet", () => {
    const none = () => table.node.querySelector(".pw-empty")?.textContent;
    const told = (checks: number) => {
      const changes = noChanges();
      store.apply(
        { type: "snapshot", data: { epoch: "e", seq: 1, part: 1, of: 1, results: [], checks } } as unknown as OpsMessage,
        changes,
      );
      table.draw(changes);
    };
    show();
    expect(none()).toBe("Nothing has come yet");
    told(0);
    expect(none()).toContain("No checks yet");
    told(3);
    expect(none()).toBe("No results yet");
  });

  it("has what can be done with rows below them, so that none moves when it comes", () => {
    const actions = table.node.querySelector(".pw-actions")!;
    expect(grid().compareDocumentPosition(actions) & Node.DOCUMENT_POSITION_FOLLOWING).not.toBe(0);
  });

  it("reads what people and targets wrote in its own direction", async () => {
    put({ ...ROW, title: "خادم الدفع", summary: "انتهت المهلة" });
    await soon(() => expect(lines()).toHaveLength(1));
    const cells = [...lines()[0]!.querySelectorAll<HTMLElement>("[role=gridcell]")];
    expect(cells.filter(({ dir }) => dir === "auto").map(({ textContent }) => textContent)).toEqual(["خادم الدفع", "انتهت المهلة"]);
  });

  it("begins with what nobody takes care of, and says for how long each row has stood so", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse("2026-11-23T07:30:00Z") });
    const state = { ...ROW.state, since: "2026-11-23T07:18:00Z" } as Result["state"];
    const suppression = { by: "ack", id: null, until: null, actor: "Ana", reason: "on it" } as Result["suppression"];
    show({ columns: ["status", "since", "title"] });
    put(
      { ...ROW, fingerprint: "acked", status: "crit", severity: "critical", suppression, state },
      { ...ROW, fingerprint: "open", status: "crit", severity: "low", suppression: null, state },
    );
    await soon(() => expect(titles()).toEqual(["open", "acked"]));
    const cell = lines()[0]!.querySelectorAll("[role=gridcell]")[1]!;
    expect(cell.textContent).toBe("12m");
    expect(cell.querySelector("span")!.title).toMatch(/^crit since /);
    vi.useRealTimers();
  });

  it("numbers the columns of its order without a gap, and says which of its keys has none", () => {
    show({ columns: ["status", "severity", "title"] });
    expect(["Status", "Severity", "Check"].map((name) => header(name)!.querySelector(".pw-sort")!.textContent)).toEqual(["▲1", "▼2", "▲3"]);
    expect(header("Status")!.title).toBe("Sorted by Status, Ack (no column), Severity, Check. Sort (with Shift: also by this one)");
    show({ columns: ["title", "summary"] });
    expect(header("Check")!.querySelector(".pw-sort")!.textContent).toBe("▲");
    expect(header("Summary")!.title).toBe("Sort (with Shift: also by this one)");
  });

  it("marks a row whose result is too old, where no column says when it was", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse("2026-11-23T07:30:00Z") });
    show({ columns: ["status", "title"] });
    const late = { observed_at: "2026-11-23T07:00:00Z", ttl_s: 60 };
    put({ ...ROW, ...late, fingerprint: "late", title: "a" }, { ...ROW, ...late, ttl_s: 3600, fingerprint: "fresh", title: "b" });
    await soon(() => expect(lines().map((node) => node.classList.contains("pw-late"))).toEqual([true, false]));
    expect(grid().hasAttribute("data-no-ages")).toBe(true);
    put({ ...ROW, ...late, observed_at: "2026-11-23T07:30:00Z", fingerprint: "late", title: "a" });
    await soon(() => expect(lines()[0]!.classList.contains("pw-late")).toBe(false));
    show({ columns: ["status", "observed_at"] });
    expect(grid().hasAttribute("data-no-ages")).toBe(false);
    vi.useRealTimers();
  });

  it("tells a screen reader how many rows there are, which is which, and how they are sorted", async () => {
    put(...["b", "a", "c"].map((name) => ({ ...ROW, fingerprint: name, title: name })));
    await soon(() => expect(titles()).toEqual(["a", "b", "c"]));
    expect([grid().getAttribute("role"), grid().getAttribute("aria-rowcount"), grid().tabIndex]).toEqual(["grid", "4", 0]);
    expect(lines().map((node) => node.getAttribute("aria-rowindex"))).toEqual(["2", "3", "4"]);
    expect(header("Check")!.getAttribute("aria-sort")).toBe("ascending");
    expect(header("Severity")!.getAttribute("aria-sort")).toBe("descending");
    table.setView({ search: "-title:a" });
    await soon(() => expect(grid().getAttribute("aria-rowcount")).toBe("3"));
  });

  it("has only the rows in view in the page, of ten thousand", async () => {
    put(...Array.from({ length: 10_000 }, (_, index) => ({ ...ROW, fingerprint: `f${index}`, title: `t${index}` })));
    await soon(() => expect(grid().getAttribute("aria-rowcount")).toBe("10001"));
    expect(lines().length).toBeLessThan(30);
  });

  it("has every row in the page while it is printed, in the columns of a sheet", async () => {
    put(...Array.from({ length: 300 }, (_, index) => ({ ...ROW, fingerprint: `f${index}`, title: `t${index}` })));
    await soon(() => expect(grid().getAttribute("aria-rowcount")).toBe("301"));
    const onScreen = lines().length;
    window.dispatchEvent(new Event("beforeprint"));
    expect([onScreen < 30, lines().length, grid().textContent!.includes("Target")]).toEqual([true, 300, false]);
    window.dispatchEvent(new Event("afterprint"));
    expect(lines().length).toBe(onScreen);
  });

  it("prints the lines in view of more than two thousand, says which, and leaves no empty sheets for the others", async () => {
    put(...Array.from({ length: 2001 }, (_, index) => ({ ...ROW, fingerprint: `f${index}`, title: `t${index}` })));
    await soon(() => expect(grid().getAttribute("aria-rowcount")).toBe("2002"));
    const note = document.querySelector<HTMLElement>(".pw-paper-note")!;
    const canvas = document.querySelector<HTMLElement>(".pw-canvas")!;
    const onScreen = canvas.style.height;
    expect(note.hidden).toBe(true);
    window.dispatchEvent(new Event("beforeprint"));
    expect([note.hidden, note.textContent]).toEqual([false, expect.stringMatching(`^Lines 1 to ${lines().length} of 2,001 are printed`)]);
    expect(canvas.style.height).toBe(`${lines().length * 25}px`);
    window.dispatchEvent(new Event("afterprint"));
    expect([note.hidden, canvas.style.height]).toEqual([true, onScreen]);
  });

  it("brings in what comes, and how it is looked at, while ten thousand rows are still being sorted", async () => {
    const many = Array.from({ length: 10_000 }, (_, index) => ({
      ...ROW,
      fingerprint: `f${index}`,
      title: `t${String(index).padStart(5, "0")}`,
    }));
    put(...many);
    table.setView({ sort: ["-title"] });
    put({ ...ROW, fingerprint: "f5", title: "z5", seq: 2 }, { ...ROW, fingerprint: "new", title: "z6", seq: 2 });
    table.setView({ sort: ["-title"], search: "-title:t09999" });
    put({ ...ROW, fingerprint: "f6", title: "z7", seq: 3 }, { ...ROW, fingerprint: "f5", title: "z4", seq: 3 });
    put({ ...ROW, fingerprint: "f9998", change: "absent", seq: 4 });
    await soon(() => expect(titles().slice(0, 5)).toEqual(["f6", "new", "f5", "f9997", "f9996"]));
    expect(grid().getAttribute("aria-rowcount")).toBe("10000");
  });

  it("writes rows that change places into the lines that there are, and marks for a moment which cells changed", async () => {
    put(...["a", "b", "c", "d"].map((name) => ({ ...ROW, fingerprint: name, title: name })));
    await soon(() => expect(titles()).toEqual(["a", "b", "c", "d"]));
    const nodes = lines();
    put({ ...ROW, fingerprint: "c", title: "c", status: "crit", seq: 2 });
    await soon(() => expect(titles()).toEqual(["c", "a", "b", "d"]));
    expect(new Set(lines())).toEqual(new Set(nodes));
    const marked = () =>
      [...grid().querySelectorAll<HTMLElement>(".pw-flash")].map((cell) => [
        cell.parentElement!.dataset.fingerprint,
        cell.getAttribute("aria-colindex"),
      ]);
    expect(marked()).toEqual([["c", "1"]]);
    await vi.waitFor(() => expect(marked()).toEqual([]), { timeout: 5000 });
  });

  it("is one stop of the tab key: the cursor goes over header, rows and cells, and Enter sorts", async () => {
    put(...["a", "b"].map((name) => ({ ...ROW, fingerprint: name, title: name })));
    await soon(() => expect(titles()).toEqual(["a", "b"]));
    press("ArrowDown");
    press("ArrowDown");
    await soon(() => expect(active()?.dataset.fingerprint).toBe("b"));
    expect(selections).toEqual([["a"], ["b"]]);
    press("ArrowRight");
    await soon(() => expect(active()?.getAttribute("role")).toBe("gridcell"));
    press("ArrowUp");
    press("ArrowUp");
    await soon(() => expect(active()?.getAttribute("role")).toBe("columnheader"));
    press("ArrowRight");
    press("ArrowRight");
    await soon(() => expect(active()).toBe(header("Check")));
    press("Enter");
    press("Enter");
    await soon(() => expect(titles()).toEqual(["b", "a"]));
    expect(views.at(-1)).toEqual({ sort: ["-title"] });
    press("ArrowRight", { altKey: true });
    expect(Object.keys(views.at(-1)!)).toContain("widths");
    expect(table.node.querySelectorAll("[tabindex='0']")).toHaveLength(1);
  });

  it("goes on where it stood when the row under the cursor leaves", async () => {
    put(...["a", "b", "c"].map((name) => ({ ...ROW, fingerprint: name, title: name })));
    press("ArrowDown");
    press("ArrowDown");
    put({ ...ROW, fingerprint: "b", title: "b", change: "absent", seq: 2 });
    press("ArrowDown");
    await soon(() => expect(active()?.dataset.fingerprint).toBe("c"));
  });

  it("groups rows under heads that say their counts, and fold by keyboard and by click", async () => {
    show({ group: "label:team", sort: ["title"] });
    const team = (name: string, team: string, status: Result["status"]) =>
      ({ ...ROW, fingerprint: name, title: name, status, labels: { team } }) as Result;
    put(team("a", "web", "ok"), team("b", "web", "crit"), team("c", "data", "ok"));
    await soon(() => expect(titles()).toEqual(["data", "c", "web", "a", "b"]));
    expect([grid().getAttribute("role"), ...lines().map((node) => node.getAttribute("aria-level"))]).toEqual(["treegrid", ..."12122"]);
    const web = lines()[2]!;
    expect(web.textContent).toContain("team=web 2 rows");
    expect(web.textContent).toContain("1 crit");
    expect(web.getAttribute("aria-expanded")).toBe("true");
    web.click();
    await soon(() => expect(titles()).toEqual(["data", "c", "web"]));
    expect(grid().getAttribute("aria-rowcount")).toBe("4");
    press("ArrowRight");
    await soon(() => expect(titles()).toHaveLength(5));
    press("Enter");
    await soon(() => expect(titles()).toHaveLength(3));
  });

  it("shows the columns that a person chooses, in their order, and tells them for the trait", async () => {
    put({ ...ROW, fingerprint: "a" });
    const names = () => [...table.node.querySelectorAll("[role=columnheader] .pw-head-title")].map((node) => node.textContent);
    const before = names();
    const button = [...table.node.querySelectorAll("button")].find(({ textContent }) => textContent === "Columns")!;
    button.click();
    const box = (title: string) =>
      [...table.node.querySelectorAll("label")].find(({ textContent }) => textContent === title)!.querySelector("input")!;
    box("Labels").click();
    expect(names()).toEqual([...before, "Labels"]);
    table.node.querySelector<HTMLButtonElement>('[aria-label="Move Labels to the left"]')!.click();
    expect(names().indexOf("Labels")).toBe(before.length - 1);
    box("Status").click();
    expect(names()).not.toContain("Status");
    expect(views.at(-1)!.columns).not.toContain("status");
    put({ ...ROW, fingerprint: "b", seq: 2 });
    expect(names()).toContain("Labels");
    [...table.node.querySelectorAll("button")].find(({ textContent }) => textContent === "Reset")!.click();
    expect([names(), views.at(-1)]).toEqual([before, {}]);
  });

  it("asks the host for the rows in view of a larger board, and keeps of the others only what is selected", async () => {
    const tell = (message: OpsMessage) => {
      const changes = noChanges();
      store.apply(message, changes);
      table.draw(changes);
    };
    const counts = { crit: 0, warn: 0, unknown: 0, ok: 20_000, skip: 0 };
    const at = (from: number, count: number): OpsMessage => {
      const order = Array.from({ length: count }, (_, index) => `f${from + index}`);
      const results = order.map((name) => ({ ...ROW, fingerprint: name, title: name }));
      const window: OpsWindow = { epoch: "e", seq: 1, rows: 20_000, total: 20_000, counts, from, order, groups: [], results };
      return { type: "window", data: window };
    };
    tell({ type: "snapshot", data: { epoch: "e", seq: 1, part: 1, of: 1, results: [], total: 20_000 } });
    await soon(() => expect(asked).toHaveLength(1));
    expect(asked[0]).toMatchObject({ sort: ["status", "suppression", "-severity", "title"], search: "", group: "", from: 0 });
    expect(lines().every((node) => node.getAttribute("aria-busy") === "true")).toBe(true);
    tell(at(0, 100));
    await soon(() => expect(titles()[0]).toBe("f0"));
    expect([grid().getAttribute("aria-rowcount"), table.node.querySelector(".pw-status-ok .pw-count")!.textContent]).toEqual([
      "20001",
      "20,000",
    ]);
    press("End");
    await soon(() => expect(asked.at(-1)!.from + asked.at(-1)!.count).toBe(20_000));
    const last = at(asked.at(-1)!.from, asked.at(-1)!.count);
    tell(last);
    await soon(() => expect(active()?.dataset.fingerprint).toBe("f19999"));
    press("Home");
    await soon(() => expect(asked.at(-1)!.from).toBe(0));
    tell(at(0, 100));
    await soon(() => expect(active()?.dataset.fingerprint).toBe("f0"));
    const saved = vi.spyOn(URL, "createObjectURL");
    [...table.node.querySelectorAll("button")].find(({ textContent }) => textContent === "CSV")!.click();
    await soon(() => expect(saved).toHaveBeenCalledOnce());
    expect(await (saved.mock.calls[0]![0] as Blob).text()).toBe("title,duration_ms\r\n'=cmd,3.5\r\n");
    expect(listed).toEqual([{ sort: ["status", "suppression", "-severity", "title"], group: "", search: "", statuses: [] }]);
    saved.mockRestore();
    lines()[1]!.click();
    table.setView({ search: "web", group: "host" });
    await soon(() => expect(asked.at(-1)).toMatchObject({ search: "web", group: "host" }));
    tell(at(300, 100));
    expect([store.rows.size, store.rows.has("f1"), table.selection]).toEqual([101, true, ["f1"]]);
  });

  it("says when a range begins beyond the rows of a larger board that are here", async () => {
    const counts = { crit: 0, warn: 0, unknown: 0, ok: 20_000, skip: 0 };
    const tell = (prefix: string) => {
      const changes = noChanges();
      const order = Array.from({ length: 100 }, (_, index) => `${prefix}${index}`);
      const results = order.map((name) => ({ ...ROW, fingerprint: name, title: name }));
      store.apply(
        { type: "window", data: { epoch: "e", seq: 1, rows: 20_000, total: 20_000, counts, from: 0, order, groups: [], results } },
        changes,
      );
      table.draw(changes);
    };
    const said = () => table.node.querySelector(".pw-tools .pw-answer")!.textContent;
    const range = () => lines()[3]!.dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
    tell("f");
    await soon(() => expect(titles()[0]).toBe("f0"));
    lines()[1]!.click();
    range();
    expect([table.selection, said()]).toEqual([["f1", "f2", "f3"], ""]);
    tell("g");
    await soon(() => expect(titles()[0]).toBe("g0"));
    range();
    expect(table.selection).toEqual(["g3"]);
    expect(said()).toMatch(/one row is selected/);
  });

  it("folds the groups of a larger board by asking for the others' rows", async () => {
    show({ group: "label:team" });
    const counts = { crit: 0, warn: 0, unknown: 0, ok: 9, skip: 0 };
    const changes = noChanges();
    const order = Array.from({ length: 50 }, (_, index) => `f${index}`);
    const data: OpsWindow = {
      epoch: "e",
      seq: 1,
      rows: 20_000,
      total: 20_000,
      counts,
      from: 0,
      order,
      groups: [
        ["a", 20, counts],
        ["b", 19_980, counts],
      ],
      results: order.map((name) => ({ ...ROW, fingerprint: name })),
    };
    store.apply({ type: "window", data }, changes);
    table.draw(changes);
    await soon(() => expect(titles()[0]).toBe("a"));
    expect(grid().getAttribute("aria-rowcount")).toBe("20003");
    lines()[0]!.click();
    await soon(() => expect(titles().slice(0, 2)).toEqual(["a", "b"]));
    await soon(() => expect(asked.at(-1)!.folded).toEqual(["a"]));
  });

  it("keeps still while it is paused, and counts what it holds back", async () => {
    put({ ...ROW, fingerprint: "a", title: "a" });
    const pause = [...table.node.querySelectorAll("button")].find(({ textContent }) => textContent === "Pause")!;
    pause.click();
    put({ ...ROW, fingerprint: "b", title: "b" });
    expect(pause.textContent).toBe("Go on · 1 new");
    await soon(() => expect(titles()).toEqual(["a"]));
    pause.click();
    await soon(() => expect(titles()).toEqual(["a", "b"]));
  });
});

describe("how a table is looked at", () => {
  it("comes back as it was written, and what makes no sense is left out", () => {
    const view = {
      columns: ["title", "status"],
      widths: { title: 200 },
      sort: ["-duration_ms"],
      group: "host",
      search: "x",
      statuses: ["crit"],
    };
    expect(writeLook(readLook(view))).toEqual(view);
    expect(writeLook(readLook({ columns: ["no"], widths: { no: 3 }, sort: ["no"], group: "label:", search: 3, statuses: ["no"] }))).toEqual(
      {},
    );
    expect(writeLook(readLook(null))).toEqual({});
  });

  it("sorts by a click: by that column, and with Shift by it as well", () => {
    const sort = sortedBy([], "title", false, false);
    expect(sort).toEqual([{ key: "title", descending: false }]);
    expect(sortedBy(sort, "title", false, false)).toEqual([{ key: "title", descending: true }]);
    const both = sortedBy(sort, "severity", true, true);
    expect(both.map(({ key }) => key)).toEqual(["title", "severity"]);
    expect(sortedBy(both, "severity", true, true)[1]).toEqual({ key: "severity", descending: false });
    expect(sortedBy(both, "severity", true, false)).toEqual([{ key: "severity", descending: true }]);
  });
});
