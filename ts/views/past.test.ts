import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Hour, StateChange } from "../ops-protocol.ts";
import type { Result } from "../result.ts";
import { noChanges } from "../rooms/changes.ts";
import { OpsStore } from "../rooms/ops-store.ts";
import { soon } from "../testing/kernel.ts";
import { proof, RESULT } from "../testing/ops.ts";
import { Detail } from "./detail.ts";
import { uptimeBars, uptimeSentence } from "./uptime.ts";

const EVIL = '<img src=x onerror="alert(1)">';

const hour = (index: number, change: Partial<Hour> = {}): Hour => ({
  begin: new Date(Date.UTC(2026, 10, 23, index)).toISOString(),
  looks: 60,
  ok: 60,
  warn: 0,
  crit: 0,
  unknown: 0,
  skip: 0,
  uptime: 1,
  ...change,
});

describe("the last remedy of a row", () => {
  let detail: Detail;
  beforeEach(() => {
    detail = new Detail({ recheck() {}, terminal() {}, close() {} }, new AbortController().signal, () => import("../chart.ts"));
    document.body.replaceChildren(detail.node);
  });

  it("comes with a frame or with the answer about the past, and the newer one stays", () => {
    const store = new OpsStore();
    const changes = noChanges();
    store.apply({ type: "remedy", data: proof({ id: "2" }) }, changes);
    expect([...changes.proved]).toEqual([RESULT.fingerprint]);
    store.pasts.remember(RESULT.fingerprint, { hours: [hour(1)], remedy: proof({ id: "1", actor: "older" }) });
    expect(store.pasts.proof(RESULT.fingerprint)!.actor).toBe("Rob");
    expect([store.pasts.hours(RESULT.fingerprint).length, store.pasts.hours("another").length]).toEqual([1, 0]);
  });

  it("comes with changes and looks from before this page was open, which what it saw itself goes on from", () => {
    const store = new OpsStore();
    const { fingerprint } = RESULT;
    const change = (seq: number, to: StateChange["to"]): StateChange => ({
      ...{ seq, fingerprint, check_id: "shop", title: "shop", from: null, to, severity: "high", at: "", summary: "" },
    });
    const seen = { ...RESULT, observed_at: "2026-11-23T06:00:10.000Z", duration_ms: 4 };
    store.apply({ type: "check-result", data: { seq: 9, scan_id: "s", done: 1, total: 1, results: [seen] } }, noChanges());
    store.apply({ type: "state-change", data: change(9, "crit") }, noChanges());
    store.pasts.remember(fingerprint, {
      hours: [],
      remedy: null,
      changes: [change(9, "crit"), change(7, "ok"), change(5, "warn")],
      looks: [
        ["2026-11-23T06:00:00.000Z", 1, "warn"],
        ["2026-11-23T06:00:05.000Z", 2, "ok"],
        ["2026-11-23T06:00:10.000Z", 3, "crit"],
      ],
    });
    expect(store.pasts.transitions(fingerprint).map(({ seq }) => seq)).toEqual([9, 7, 5]);
    expect(store.pasts.series(fingerprint).map(({ durationMs }) => durationMs)).toEqual([1, 2, 4]);
  });

  it("is bounded in number", () => {
    const store = new OpsStore();
    for (let index = 0; index < 600; index++)
      store.apply({ type: "remedy", data: proof({ fingerprint: `f${index}`, id: "1" }) }, noChanges());
    expect([store.pasts.proof("f0"), store.pasts.proof("f599")?.actor]).toEqual([null, "Rob"]);
  });

  it("is shown with command, exit code, actor, before and after, also when the row did not change", () => {
    detail.show(RESULT, [], []);
    expect(detail.node.textContent).not.toContain("Last remedy");
    detail.show(RESULT, [], [], { proof: proof(), hours: [] });
    const text = detail.node.querySelector(".pw-proof")!.textContent!;
    for (const part of ["supervisorctl restart shop", "Rob in web", "exit 0 after 1.50 s", "crit", "→", "ok", "got 200"])
      expect(text).toContain(part);
  });

  it("says what is not known, and enters the page as text", () => {
    detail.show(RESULT, [], [], {
      proof: proof({ exit_code: null, before: null, after: null, command: EVIL, actor: EVIL, sandbox: EVIL }),
      hours: [],
    });
    const shown = detail.node.querySelector(".pw-proof")!;
    expect(shown.textContent).toContain("exit code unknown");
    expect(shown.textContent).toContain("new → not looked at again");
    expect(shown.querySelector("img")).toBeNull();
    expect(shown.querySelector("code")!.textContent).toBe(EVIL);
  });

  it("has a line for a cell that can be copied", async () => {
    const copied: string[] = [];
    const clipboard = { writeText: async (line: string) => void copied.push(line) };
    vi.stubGlobal("navigator", { clipboard });
    detail.show(RESULT, [], []);
    const button = detail.node.querySelector<HTMLButtonElement>('button[title="Copy the line for a cell"]')!;
    button.click();
    await soon(() => expect(copied).toEqual([`await ops.remedy("${RESULT.fingerprint}").run()`]));
    clipboard.writeText = () => Promise.reject(new Error("no"));
    button.click();
    await soon(() => expect(button.parentElement!.textContent).toContain("press Ctrl+C"));
    vi.unstubAllGlobals();
  });
});

describe("what a row looked like before", () => {
  it("is told of a row that fails by its last success, and while it is ok by its last failure", () => {
    const store = new OpsStore();
    const { fingerprint } = RESULT;
    const row = (seq: number, status: Result["status"]) =>
      store.apply(
        { type: "check-result", data: { seq, scan_id: "s", done: 1, total: 1, results: [{ ...RESULT, seq, status }] } },
        noChanges(),
      );
    row(1, "crit");
    store.pasts.remember(fingerprint, { hours: [], remedy: null, witness: { ...RESULT, status: "ok" } });
    expect(store.pasts.witness(fingerprint)?.status).toBe("ok");
    expect(store.pasts.witness("another")).toBeNull();
    row(2, "ok");
    expect(store.pasts.witness(fingerprint), "it says no more than the row itself").toBeNull();
    store.pasts.remember(fingerprint, { hours: [], remedy: null });
    expect(store.pasts.witness(fingerprint)).toBeNull();
  });

  it("is folded, with its conditions and what was seen, as text", () => {
    const detail = new Detail({ recheck() {}, terminal() {}, close() {} }, new AbortController().signal, () => import("../chart.ts"));
    document.body.replaceChildren(detail.node);
    const evidence = [{ ...RESULT.evidence[0]!, name: "body", value: EVIL }];
    const fold = () => [...detail.node.querySelectorAll("details")].find(({ textContent }) => textContent?.includes("When it"));
    detail.show({ ...RESULT, status: "ok" }, [], []);
    expect(fold()).toBeUndefined();
    detail.show({ ...RESULT, status: "ok" }, [], [], { proof: null, hours: [], witness: { ...RESULT, summary: EVIL, evidence } });
    expect(fold()!.open).toBe(false);
    expect(fold()!.querySelector("summary")!.textContent).toBe("When it last failed");
    expect([...fold()!.querySelectorAll("pre")].at(-1)!.textContent).toBe(EVIL);
    expect(fold()!.textContent).toContain("status == 200");
    expect(fold()!.querySelector("img")).toBeNull();
    detail.show({ ...RESULT, result_id: "2" }, [], [], { proof: null, hours: [], witness: { ...RESULT, status: "ok" } });
    expect(fold()!.querySelector("summary")!.textContent).toBe("When it was last ok");
  });
});

describe("the uptime of a row", () => {
  it("is a bar an hour, with gaps where nobody looked and a sign where it failed", () => {
    const bars = uptimeBars([hour(1), hour(3, { ok: 30, crit: 30, uptime: 0.5 }), hour(4, { ok: 50, warn: 10 })]);
    const shown = [...bars.querySelectorAll<HTMLElement>(".pw-hour")];
    expect(shown).toHaveLength(24);
    const last = shown.slice(-4).map((node) => [node.querySelector<HTMLElement>(".pw-hour-filled")?.style.height, node.textContent]);
    expect(last).toEqual([
      ["100%", ""],
      [undefined, ""],
      ["50%", "✖"],
      ["100%", "▲"],
    ]);
  });

  it("is said in words, and never rounded up to a hundred", () => {
    expect(uptimeSentence([hour(1), hour(2)])).toBe("100 % of 120 looks ok or warn, no failure");
    expect(uptimeSentence([hour(1, { looks: 10_001, ok: 10_000, crit: 1, uptime: 10_000 / 10_001 })])).toBe(
      "99.9 % of 10001 looks ok or warn, failures in 1 of 1 hour",
    );
    expect(uptimeSentence([hour(1, { looks: 3, ok: 0, skip: 3, uptime: null })])).toBe("nobody looked");
  });
});

describe("for how long a row has stood so", () => {
  afterEach(() => void vi.useRealTimers());

  it("leads to the cell of a runbook, and shows a path as it is", () => {
    const detail = new Detail({ recheck() {}, terminal() {}, close() {} }, new AbortController().signal, () => import("../chart.ts"));
    document.body.replaceChildren(detail.node);
    const remediation = {
      text: "",
      command: null,
      sandbox: null,
      confirm: true,
      runbook: "https://lab.example/shop.ipynb",
      cell_id: "a b",
    };
    detail.show({ ...RESULT, remediation }, [], []);
    expect(detail.node.querySelector<HTMLAnchorElement>("a[href*=lab]")!.href).toBe("https://lab.example/shop.ipynb#cell-id=a%20b");
    detail.show({ ...RESULT, result_id: "2", remediation: { ...remediation, runbook: "runbooks/shop.ipynb" } }, [], []);
    expect(detail.node.textContent).toContain("Runbook: runbooks/shop.ipynb#cell-id=a%20b");
  });

  it("goes on with the clock, also while no further result comes, and stops with the view", () => {
    vi.useFakeTimers({ now: Date.parse("2026-11-23T07:30:00Z"), toFake: ["Date", "setInterval", "clearInterval"] });
    const page = new AbortController();
    const detail = new Detail({ recheck() {}, terminal() {}, close() {} }, page.signal, () => import("../chart.ts"));
    document.body.replaceChildren(detail.node);
    detail.show({ ...RESULT, state: { ...RESULT.state!, since: "2026-11-23T07:29:55Z" } }, [], []);
    expect(detail.node.textContent).toContain("for 5s");
    vi.advanceTimersByTime(60_000);
    expect(detail.node.textContent).toContain("for 1m");
    page.abort();
    expect(vi.getTimerCount()).toBe(0);
  });
});
