import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { OpsMessage, Removed, ScanReport } from "../ops-protocol.ts";
import type { Result } from "../result.ts";
import { noChanges } from "../rooms/changes.ts";
import { OpsStore } from "../rooms/ops-store.ts";
import { OpsBar } from "./ops-bar.ts";

const vectors = JSON.parse(readFileSync("../tests/vectors/ops.json", "utf8")) as {
  message: { type: string; data: { results: Result[]; scan: ScanReport } };
}[];
const SNAPSHOT = vectors.find(({ message }) => message.type === "snapshot")!.message.data;
const [ROW, REPORT] = [SNAPSHOT.results[0]!, SNAPSHOT.scan];

it("says of the last scan how many checks it ran, beside what started it; midnight is 00:00", () => {
  const store = new OpsStore();
  store.checks = 5;
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale() {} });
  bar.draw(store);
  expect(bar.node.textContent).toContain("5 checks");
  store.lastScan = {
    ...store.lastScan!,
    trigger: "schedule",
    total: 4,
    started_at: new Date(2026, 0, 1).toISOString(),
    finished_at: new Date(2026, 0, 1, 0, 0, 0, 423).toISOString(),
  };
  bar.draw(store);
  expect(bar.node.textContent).toMatch(/last scan .*00:00:00 \(schedule, 4 checks, 423 ms\)/);
  expect(bar.node.textContent).not.toContain("4 checks ·");
});

it("says as a status that notifications do not arrive, as text, from the snapshot and live, and that they do again", () => {
  const store = new OpsStore();
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale() {} });
  const line = bar.node.querySelector(".pw-failing")!;
  const failing = [
    { target: "<b>mail", error: "the service answered HTTP 503" },
    { target: "chat", error: "it hangs" },
  ];
  const data = { epoch: "e", seq: 1, part: 1, of: 1, results: [], notify: failing.slice(0, 1) };
  store.apply({ type: "snapshot", data }, noChanges());
  bar.draw(store);
  expect(line.getAttribute("role")).toBe("status");
  expect(line.textContent).toBe("⚠ notifications to <b>mail do not arrive: the service answered HTTP 503");
  const changes = noChanges();
  store.apply({ type: "notify", data: { failing } }, changes);
  expect(changes.scan).toBe(true);
  bar.draw(store);
  expect(line.textContent).toContain("<b>mail (and 1 more) do not arrive");
  store.apply({ type: "notify", data: { failing: [] } }, noChanges());
  bar.draw(store);
  expect(line.textContent).toBe("");
});

it("says as a status that the history is not written, from the snapshot and live, beside what else is wrong", () => {
  const store = new OpsStore();
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale() {} });
  const line = bar.node.querySelector(".pw-failing")!;
  const data = { epoch: "e", seq: 1, part: 1, of: 1, results: [], unkept: "database or disk is full" };
  store.apply({ type: "snapshot", data }, noChanges());
  bar.draw(store);
  expect(line.textContent).toMatch(/^⚠ the history is not written: database or disk is full\. What is seen now is not kept$/);
  store.apply({ type: "notify", data: { failing: [{ target: "mail", error: "it hangs" }] } }, noChanges());
  bar.draw(store);
  expect(line.textContent).toMatch(/^⚠ notifications to mail do not arrive: it hangs ⚠ the history/);
  const changes = noChanges();
  store.apply({ type: "unkept", data: { reason: null } }, changes);
  expect(changes.scan).toBe(true);
  bar.draw(store);
  expect(line.textContent).toBe("⚠ notifications to mail do not arrive: it hangs");
});

it("says as a status that a changed config is refused, from the snapshot and live, until it is in force", () => {
  const store = new OpsStore();
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale() {} });
  const line = bar.node.querySelector(".pw-failing")!;
  const refused = vectors.find(({ message }) => message.type === "config-refused")!.message as unknown as OpsMessage;
  store.apply(refused, noChanges());
  bar.draw(store);
  expect(line.textContent).toBe(
    "⚠ the changed config is refused, and the former one in force: shop.yaml:3:5: unknown key 'ur', did you mean 'url'?",
  );
  const head = { epoch: "e", seq: 1, part: 1, of: 1, results: [] };
  store.apply({ type: "snapshot", data: head }, noChanges());
  bar.draw(store);
  expect(line.textContent).toBe("");
  store.apply({ type: "snapshot", data: { ...head, config_refused: "<b>shop.yaml" } }, noChanges());
  bar.draw(store);
  expect(line.textContent).toContain("in force: <b>shop.yaml");
  const changes = noChanges();
  store.apply({ type: "config-refused", data: { reason: null } }, changes);
  expect(changes.scan).toBe(true);
  bar.draw(store);
  expect(line.textContent).toBe("");
});

it("says how fresh the rows are, and keeps the last whole scan while checks run that were just due", () => {
  const store = new OpsStore();
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale() {} });
  const at = (seconds: number) => new Date(Date.UTC(2026, 10, 28, 3, 0, seconds)).toISOString();
  const row = (fingerprint: string, seconds: number, ttl: number | null) => ({
    ...ROW,
    fingerprint,
    observed_at: at(seconds),
    ttl_s: ttl,
  });
  const report = (trigger: string): ScanReport => ({ ...REPORT, trigger, results: [], started_at: at(0), finished_at: at(4) });
  const scanned = (trigger: string) => store.apply({ type: "scan-result", data: report(trigger) }, noChanges());
  const results = [row("a", 10, 30), row("b", 40, 30), row("c", 5, null)];
  const next = new Date(2026, 10, 28, 4).toISOString();
  store.apply(
    { type: "snapshot", data: { epoch: "e", seq: 1, part: 1, of: 1, results, scan: report("interval"), checks: 3, next } },
    noChanges(),
  );
  bar.draw(store);
  bar.tick(Date.parse(at(45)));
  expect(bar.node.textContent).toMatch(/! 1 stale.*newest look 5s ago.*3 checks · next .*04:00:00/);
  const stale = bar.node.querySelector<HTMLButtonElement>(".pw-stale[role=status] > button")!;
  expect(stale.hidden).toBe(false);
  scanned("schedule");
  bar.draw(store);
  for (const trigger of ["interval", "recheck"]) {
    store.apply({ type: "scan-started", data: { scan_id: trigger, trigger, started_at: at(50), total: 9, next } }, noChanges());
    bar.draw(store);
    expect(bar.node.textContent).toContain("(schedule, 4 checks, 4.00 s) · next");
    expect(bar.node.querySelector("progress")!.hidden).toBe(true);
    scanned(trigger);
  }
  store.apply({ type: "scan-started", data: { scan_id: "m", trigger: "manual", started_at: at(60), total: 9 } }, noChanges());
  bar.draw(store);
  expect(bar.node.textContent).toContain("scanning 0/9");
  bar.tick(Date.parse(at(300)));
  expect(bar.node.textContent).toContain("! 2 stale");
});

it("leads to the stale rows, and keeps the way back when there are none any more", () => {
  const store = new OpsStore();
  let clicks = 0;
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale: () => clicks++ });
  const button = bar.node.querySelector<HTMLButtonElement>(".pw-stale > button")!;
  const at = Date.parse(ROW.observed_at);
  store.apply({ type: "snapshot", data: { epoch: "e", seq: 1, part: 1, of: 1, results: [{ ...ROW, ttl_s: 10 }] } }, noChanges());
  bar.draw(store);
  bar.tick(at + 10_000);
  expect(button.hidden).toBe(true);
  bar.tick(at + 10_001);
  expect([button.hidden, button.textContent, button.getAttribute("aria-pressed")]).toEqual([false, "! 1 stale", "false"]);
  button.click();
  bar.staleOnly(true);
  expect([clicks, button.getAttribute("aria-pressed")]).toEqual([1, "true"]);
  bar.tick(at);
  expect([button.hidden, button.textContent]).toEqual([false, "0 stale"]);
});

it("says of a board that is looked at by windows how fresh it is, as its host does", () => {
  const store = new OpsStore();
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale() {} });
  const next = new Date(2026, 10, 28, 4).toISOString();
  const head = {
    epoch: "e",
    seq: 1,
    part: 1,
    of: 1,
    results: [],
    total: 12_000,
    checks: 12_000,
    next,
    scan: { ...REPORT, trigger: "schedule" },
  };
  store.apply({ type: "snapshot", data: head }, noChanges());
  bar.draw(store);
  expect(bar.node.textContent).toMatch(/last scan .* · next .*04:00:00/);
  expect(bar.node.textContent).not.toContain("newest");
  const counts = store.counts();
  const told = { epoch: "e", seq: 2, rows: 12_000, total: 12_000, counts, from: 0, order: [], groups: [], results: [] };
  store.apply({ type: "window", data: { ...told, newest: "2026-11-28T03:00:00.000Z", stale: 1234 } }, noChanges());
  bar.tick(Date.parse("2026-11-28T03:00:42.000Z"));
  expect(bar.node.textContent).toMatch(/! 1,234 stale.*newest look 42s ago/);
});

describe("rows that are gone", () => {
  const vector = vectors.find(({ message }) => message.type === "removed")!.message.data as unknown as Removed;
  const at = new Date(new Date().setHours(14, 3, 0, 0)).toISOString();
  const later = new Date(new Date().setHours(14, 4, 0, 0)).toISOString();
  let store: OpsStore;
  let bar: OpsBar;
  const words = () => bar.node.querySelector<HTMLButtonElement>(".pw-removed > button")!;
  const whole = () => bar.node.querySelector<HTMLElement>(".pw-removed-whole")!;
  const tell = (change: Partial<Removed>) => {
    store.apply({ type: "removed", data: { ...vector, at, ...change } }, noChanges());
    bar.draw(store);
  };

  beforeEach(() => {
    store = new OpsStore();
    bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale() {} });
    document.body.replaceChildren(bar.node);
    bar.draw(store);
  });

  it("are told for ten minutes, folded: how many; unfolded which, why, by whom and when, as text", () => {
    expect([words().parentElement!.getAttribute("role"), words().hidden, whole().hidden]).toEqual(["status", true, true]);
    const changes = noChanges();
    store.apply({ type: "removed", data: { ...vector, titles: ["<b>old shop", "old cart"], at } }, changes);
    expect(changes.scan).toBe(true);
    bar.draw(store);
    expect([words().textContent, words().getAttribute("aria-expanded"), whole().hidden]).toEqual(["2 rows gone", "false", true]);
    words().click();
    expect([words().getAttribute("aria-expanded"), whole().hidden, whole().id]).toEqual([
      "true",
      false,
      words().getAttribute("aria-controls"),
    ]);
    expect(whole().textContent).toContain(
      "<b>old shop, old cart are gone: its check was taken out of shop.yaml, by Ana, 14:03:00. ops.events() has all of them",
    );
    tell({ count: 1, titles: ["till"], actor: null });
    expect(words().textContent).toBe("1 row gone");
    expect(whole().textContent).toContain("till is gone: its check was taken out of shop.yaml, 14:03:00.");
    tell({ count: 1200, titles: ["a", "b", "c"] });
    expect(words().textContent).toBe("1,200 rows gone");
    expect(whole().textContent).toContain("a, b, c and 1,197 more are gone: ");
    const joined = { epoch: "e", seq: 1, part: 1, of: 1, results: [], removed: { ...vector, count: 1, titles: ["till"], at, ago_s: 590 } };
    store.apply({ type: "snapshot", data: joined }, noChanges());
    bar.tick();
    expect(words().hidden).toBe(false);
    store.removed!.told -= 10_000;
    bar.tick();
    expect([words().hidden, words().textContent, whole().hidden, whole().textContent]).toEqual([true, "", true, "Dismiss"]);
  });

  it("are replaced where their checks look at something else now: nothing is missing", () => {
    tell({ replaced: 2 });
    expect(words().textContent).toBe("2 rows replaced");
    expect(whole().textContent).toContain("old shop, old cart were replaced: ");
    tell({ replaced: 1 });
    expect(words().textContent).toBe("2 rows gone");
  });

  it("can be dismissed, and those that go later are told again; the focus is not lost", () => {
    tell({});
    words().click();
    const dismiss = whole().querySelector("button")!;
    dismiss.focus();
    dismiss.click();
    expect([words().hidden, whole().hidden, document.activeElement]).toEqual([true, true, bar.node]);
    const joined = { epoch: "e", seq: 1, part: 1, of: 1, results: [], removed: { ...vector, at, ago_s: 5 } };
    store.apply({ type: "snapshot", data: joined }, noChanges());
    bar.tick();
    expect(words().hidden).toBe(true);
    tell({ at: later });
    expect([words().hidden, whole().hidden]).toEqual([false, true]);
  });

  it("fold with Escape, to the words that unfolded them", () => {
    tell({});
    words().click();
    const dismiss = whole().querySelector("button")!;
    dismiss.focus();
    dismiss.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect([whole().hidden, document.activeElement]).toEqual([true, words()]);
  });
});

it("says how many rows have come while a snapshot is on its way", () => {
  const store = new OpsStore();
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {}, stale() {} });
  const part = { epoch: "e", seq: 1, of: 2, results: [ROW] };
  const counts = { crit: 1, warn: 0, unknown: 0, ok: 1999, skip: 0 };
  store.apply({ type: "snapshot", data: { ...part, part: 1, counts } }, noChanges());
  bar.draw(store);
  expect(bar.node.textContent).toContain("loading 1 of 2,000 rows");
  store.apply({ type: "snapshot", data: { ...part, part: 2 } }, noChanges());
  bar.tick();
  expect(bar.node.textContent).not.toContain("loading");
});
