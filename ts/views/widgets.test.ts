import { beforeEach, describe, expect, it } from "vitest";
import type { Reply } from "../protocol.ts";
import type { Result } from "../result.ts";
import type { TerminalStatus } from "../rooms/terminal-status.ts";
import { silent } from "../testing/bar-actions.ts";
import { FakeKernel, soon } from "../testing/kernel.ts";
import { RESULT } from "../testing/ops.ts";
import { ActionBar, type RowActions } from "./action-bar.ts";
import { Badge } from "./badge.ts";
import { Detail } from "./detail.ts";
import { Still } from "./still.ts";
import { TerminalBar } from "./terminal-bar.ts";

const button = (root: HTMLElement, text: string) =>
  [...root.querySelectorAll("button")].find((node) => node.textContent?.startsWith(text))!;

describe("details", () => {
  let detail: Detail;
  beforeEach(() => {
    detail = new Detail({ recheck() {}, terminal() {}, close() {} }, new AbortController().signal, () => import("../chart.ts"));
    document.body.replaceChildren(detail.node);
  });

  it("show conditions with what was seen, metrics, phases and what helps", () => {
    detail.show(RESULT, [{ at: 0, durationMs: 12.4, status: "crit" }], []);
    const text = detail.node.textContent!;
    for (const part of [
      "status == 200",
      "503",
      "supervisorctl restart shop",
      "in the sandbox web",
      "processing 11 ms",
      "team=web",
      "12 ms",
    ])
      expect(text).toContain(part);
    expect(detail.node.querySelector('[role="img"]')!.getAttribute("aria-label")).toBe("fails");
  });

  it("put everything that came from outside into the page as text", () => {
    const evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    const labels = { [evil]: evil };
    const evidence = [{ ...RESULT.evidence[0]!, name: evil, value: evil }];
    detail.show(
      {
        ...RESULT,
        title: evil,
        target: evil,
        summary: evil,
        details: evil,
        labels,
        evidence,
        conditions: [{ expr: evil, ok: false, actual: { evil } }],
      },
      [],
      [],
    );
    expect(detail.node.querySelectorAll("img, script")).toHaveLength(0);
    expect(detail.node.querySelector("pre")!.textContent).toBe(evil);
  });

  it("keep what was unfolded when the next result of the same check comes", () => {
    detail.show(RESULT, [], []);
    detail.node.querySelector("summary")!.click();
    detail.show({ ...RESULT, result_id: "next" }, [], []);
    expect(detail.node.querySelector("details")!.open).toBe(true);
    detail.show({ ...RESULT, fingerprint: "another", result_id: "another" }, [], []);
    expect(detail.node.querySelector("details")!.open).toBe(false);
  });

  it("have what was seen unfolded where it tells of a failure and is short, until somebody folds it", () => {
    const evidence = (value: string) => [{ ...RESULT.evidence![0]!, name: "body", value }];
    const fold = () => [...detail.node.querySelectorAll("details")].find(({ textContent }) => textContent?.includes("Evidence"))!;
    detail.show({ ...RESULT, status: "ok", evidence: evidence("fine") }, [], []);
    expect(fold().open).toBe(false);
    detail.show({ ...RESULT, status: "crit", result_id: "2", evidence: evidence("down") }, [], []);
    expect(fold().open).toBe(true);
    detail.show({ ...RESULT, status: "crit", result_id: "3", evidence: evidence("x".repeat(5000)) }, [], []);
    expect(fold().open).toBe(false);
    detail.show({ ...RESULT, status: "crit", result_id: "4", evidence: evidence("down") }, [], []);
    fold().querySelector("summary")!.click();
    detail.show({ ...RESULT, status: "crit", result_id: "5", evidence: evidence("down") }, [], []);
    expect(fold().open).toBe(false);
  });

  it("say nothing of a remedy while the check is ok", () => {
    detail.show({ ...RESULT, status: "ok" }, [], []);
    expect(detail.node.textContent).not.toContain("supervisorctl");
  });
});

describe("actions", () => {
  let asked: unknown[][];
  let reply: Reply;
  let rows: Result[];
  let bar: ActionBar;
  beforeEach(() => {
    asked = [];
    reply = { id: "", ok: true };
    rows = [RESULT];
    const record =
      (name: string) =>
      async (...fields: unknown[]) => {
        asked.push([name, ...fields]);
        return reply;
      };
    bar = new ActionBar(
      { ack: record("ack"), silence: record("silence"), lift: record("lift"), recheck: record("recheck") } as RowActions,
      () => rows,
    );
    document.body.replaceChildren(bar.node);
  });
  const submit = () => bar.node.querySelector("form")!.dispatchEvent(new Event("submit", { cancelable: true }));
  const reason = () => bar.node.querySelector<HTMLInputElement>('input[type="text"]')!;

  it("are there only while something is selected", () => {
    expect(bar.node.hidden).toBe(false);
    rows = [];
    bar.refresh();
    expect(bar.node.hidden).toBe(true);
  });

  it("show a sentence where nothing is selected, until something is", () => {
    rows = [];
    bar.refresh();
    bar.tell({ id: "", ok: false, error: "no row here is called shop" });
    expect(bar.node.hidden).toBe(false);
    expect(bar.node.textContent).toContain("no row here is called shop");
    expect(bar.node.querySelector<HTMLElement>(".pw-buttons")!.hidden).toBe(true);
    bar.refresh();
    expect(bar.node.hidden).toBe(false);
    rows = [RESULT];
    bar.refresh();
    expect(bar.node.textContent).not.toContain("no row here");
    expect(bar.node.querySelector<HTMLElement>(".pw-buttons")!.hidden).toBe(false);
  });

  it("ask for a reason in place, and send nothing without one", async () => {
    button(bar.node, "Ack").click();
    expect(document.activeElement).toBe(reason());
    submit();
    expect(asked).toEqual([]);
    reason().value = "on it";
    submit();
    await soon(() => expect(asked).toEqual([["ack", [RESULT.fingerprint], "on it", null]]));
    await soon(() => expect(bar.node.querySelector("form")!.hidden).toBe(true));
  });

  it("give a silence an end", async () => {
    button(bar.node, "Silence").click();
    reason().value = "deploy";
    submit();
    await soon(() => expect(asked).toHaveLength(1));
    expect(Date.parse(String(asked[0]![3]))).toBeGreaterThan(Date.now() + 59 * 60_000);
  });

  it("show the room's sentence and keep the form when it refuses", async () => {
    reply = { id: "", ok: false, error: "ack needs the role responder or admin, you are viewer" };
    button(bar.node, "Ack").click();
    reason().value = "on it";
    submit();
    await soon(() => expect(bar.node.textContent).toContain("you are viewer"));
    expect(bar.node.querySelector("form")!.hidden).toBe(false);
  });

  it("withdraw an ack at once", async () => {
    rows = [{ ...RESULT, suppression: { by: "ack", id: null, until: null, actor: "Ana", reason: "r" } }];
    bar.refresh();
    button(bar.node, "Withdraw").click();
    await soon(() => expect(asked).toEqual([["ack", [RESULT.fingerprint], null, null]]));
  });

  it("lift a silence at once, where every selected row is under one", async () => {
    const silenced = { ...RESULT, suppression: { by: "silence", id: "s", until: null, actor: "Ana", reason: "r" } };
    rows = [silenced, RESULT];
    bar.refresh();
    expect(bar.node.textContent).toContain("Silence…");
    rows = [silenced];
    bar.refresh();
    button(bar.node, "Lift").click();
    await soon(() => expect(asked).toEqual([["lift", [RESULT.fingerprint]]]));
    expect(bar.node.querySelector("form")!.hidden).toBe(true);
  });
});

describe("a terminal's bar", () => {
  const status: TerminalStatus = {
    welcomed: true,
    connection: "me",
    role: "moderator",
    canType: true,
    lease: null,
    asking: [],
    people: [],
    size: { cols: 80, rows: 24, by: "Ana" },
    upstream: "running",
    reason: "",
    sandbox: "default",
    exit: null,
    lagging: false,
    screenIsRaw: false,
    above: "whole",
  };
  const person = (connection: string) => ({ connection, name: connection, role: "operator", subject: connection });
  let bar: TerminalBar;
  beforeEach(() => {
    bar = new TerminalBar("worker-123", silent());
  });

  it.each([
    ["open", "", {}, "live", "live"],
    ["open", "", { welcomed: false }, "connecting", "connecting"],
    ["open", "", { lagging: true }, "lagging", "catching up"],
    ["open", "", { upstream: "starting", reason: "pulling the image" }, "connecting", "pulling the image"],
    ["open", "", { upstream: "running", reason: "is being made again" }, "connecting", "is being made again"],
    ["open", "", { upstream: "ended", exit: { code: 3, reason: "the shell ended" } }, "ended", "ended with code 3: the shell ended"],
    ["open", "", { upstream: "failed", reason: "no such container" }, "ended", "ended: no such container"],
    ["refused", "you may not enter this room", {}, "refused", "you may not enter this room"],
    ["lost", "ended: kernel restarted, run this cell again", {}, "lost", "ended: kernel restarted, run this cell again"],
  ] as const)("for a link that is %s (%j) with %j says %j", (link, reason, change, state, sentence) => {
    expect(bar.link(link, reason, { ...status, ...(change as Partial<TerminalStatus>) })).toBe(state);
    expect(bar.node.querySelector('[role="status"]')!.textContent).toBe(sentence);
    expect(bar.node.querySelector<HTMLElement>('[role="status"]')!.dataset.icon).not.toBe("");
  });

  it("offers the lines above a screen that were left out, once", () => {
    const asked: string[] = [];
    bar = new TerminalBar("worker-123", silent({ above: () => asked.push("above") }));
    const load = () => [...bar.node.querySelectorAll("button")].find(({ textContent }) => textContent?.includes("history"))!;
    const shows = (change: Partial<TerminalStatus>) => {
      bar.link("open", "", { ...status, ...change });
      return load().hidden ? "" : `${load().textContent}${load().disabled ? ", not now" : ""}`;
    };
    expect(shows({})).toBe("");
    expect(shows({ above: "short" })).toBe("Load history");
    load().click();
    expect(asked).toEqual(["above"]);
    expect(shows({ above: "short", lagging: true })).toBe("Load history, not now");
    expect(shows({ above: "coming" })).toBe("Loading history …, not now");
    bar.link("connecting", "", { ...status, above: "short" });
    expect(load().hidden).toBe(true);
  });

  it("offers control to who may have it when somebody else is there", () => {
    const shown = (change: Partial<TerminalStatus>, holdsControl = false, asksForControl = false) => {
      bar.link("open", "", { ...status, ...change }, { holdsControl, asksForControl });
      const control = [...bar.node.querySelectorAll("button")].filter(({ textContent }) => /control|request/.test(textContent!));
      return control.filter(({ hidden }) => !hidden).map(({ textContent }) => textContent);
    };
    const people = [person("me"), person("other")];
    const lease = { connection: "other", name: "Other" };
    const mine = { connection: "me", name: "me" };
    expect(shown({ people: [person("me")] })).toEqual([]);
    expect(shown({ people })).toEqual(["Take control"]);
    expect(shown({ people, lease: mine }, true)).toEqual(["Release control"]);
    expect(shown({ people, role: "observer", canType: false })).toEqual([]);
    expect(shown({ people, role: "observer", canType: false, lease })).toEqual([]);
    expect(shown({ people, role: "operator", canType: false, lease })).toEqual(["Ask for control"]);
    expect(shown({ people, role: "operator", canType: false, lease }, false, true)).toEqual(["Withdraw request"]);
    expect(bar.node.textContent).toContain("you asked Other for control");
    // A moderator may do either: take it at once, or ask first.
    expect(shown({ people, lease })).toEqual(["Take control", "Ask for control"]);
    expect(shown({ people, lease }, false, true)).toEqual(["Take control", "Withdraw request"]);
    // A peer types anyway; with control their window decides the size.
    expect(shown({ people, role: "peer" })).toEqual(["Take control"]);
    expect(shown({ people, role: "peer", lease })).toEqual(["Ask for control"]);
    expect(bar.node.textContent).toContain("Other has control, you may type too");
    expect(shown({ people, role: "peer", lease }, false, true)).toEqual(["Withdraw request"]);
    expect(shown({ people, role: "peer", lease: mine }, true)).toEqual(["Release control"]);
    expect(shown({ people, role: "peer", lease, upstream: "ended" })).toEqual([]);
  });

  it("asks the one who has control, and shows a moderator who asks somebody else", () => {
    const asking = [{ connection: "other", name: "Other" }];
    const requests = () => (bar.asks.querySelector("ul")!.hidden ? "" : bar.asks.querySelector("li")!.firstChild!.textContent);
    const line = () => bar.asks.querySelector("li")?.textContent ?? "";
    const people = [person("me"), person("other"), person("third")];
    bar.link(
      "open",
      "",
      { ...status, people, asking, lease: { connection: "me", name: "me" } },
      { holdsControl: true, asksForControl: false },
    );
    expect(line()).toContain("Other asks for control");
    expect(bar.asks.querySelector('[role="status"]')!.textContent).toContain("Control Shift Escape");
    const third = { connection: "third", name: "Third" };
    bar.link("open", "", { ...status, people, asking, lease: third });
    expect(line()).toContain("Other asks Third for control");
    expect(bar.asks.querySelector('[role="status"]')!.textContent).toBe("Other asks Third for control.");
    bar.link("open", "", { ...status, people, asking, lease: third, role: "operator", canType: false });
    expect(requests()).toBe("");
    const me = [{ connection: "me", name: "me" }];
    bar.link("open", "", { ...status, people, asking: me, lease: third }, { holdsControl: false, asksForControl: true });
    expect(requests()).toBe("");
    bar.link("lost", "gone", null);
    expect(bar.asks.textContent).toBe("");
  });

  it("counts people, not their connections", () => {
    const ana = (connection: string, role: string) => ({ ...person(connection), subject: "ana", name: "Ana", role });
    const shown = (people: TerminalStatus["people"]) => {
      bar.link("open", "", { ...status, people });
      const count = bar.node.querySelector<HTMLButtonElement>("[aria-expanded][title='Who is here']")!;
      count.click();
      return count.hidden ? null : [count.textContent, ...[...bar.people.children].map(({ textContent }) => textContent)];
    };
    const mine = [ana("me", "moderator"), ana("kernel", "moderator"), ana("tab", "observer")];
    expect(shown(mine)).toBe(null);
    expect(shown([...mine, person("ben")])).toEqual([
      "2 people",
      "Anamoderator, observer · 3 connections · you",
      "benoperatorHand overEject",
    ]);
  });

  it("says that a host without an emulator has no exact screen", () => {
    bar.link("open", "", status);
    expect(bar.node.textContent).not.toContain("approximate");
    bar.link("open", "", { ...status, screenIsRaw: true });
    expect(bar.node.textContent).toContain("approximate screen");
  });

  it("says why keys do nothing", () => {
    bar.link("open", "", { ...status, canType: false, role: "observer", people: [person("me")] });
    expect(bar.node.textContent).toContain("read-only: you are observer");
    bar.link("open", "", { ...status, canType: false, lease: { connection: "other", name: "Ben" } });
    expect(bar.node.textContent).toContain("Ben has control");
    bar.link("open", "", { ...status, canType: true, role: "operator", lease: { connection: "other", name: "Ben" } });
    expect(bar.node.textContent).toContain("Ben is idle: typing takes control");
  });

  it("offers a restart only when the shell ended or its host is silent, and another try only without a host", () => {
    const hidden = () => [button(bar.node, "Restart").hidden, button(bar.node, "Try again").hidden];
    bar.link("open", "", status);
    expect(hidden()).toEqual([true, true]);
    bar.link("open", "", { ...status, upstream: "ended" });
    expect(hidden()).toEqual([false, true]);
    const silent = { upstream: "running" as const, reason: "web-1 has not answered for 20 s: what is typed waits for it" };
    bar.link("open", "", { ...status, ...silent });
    expect(hidden()).toEqual([false, true]);
    bar.link("open", "", { ...status, ...silent, role: "operator" });
    expect(hidden()).toEqual([true, true]);
    bar.link("refused", "no", null);
    expect(hidden()).toEqual([true, false]);
  });
});

describe("the badge", () => {
  it.each([
    ["server", 0.4, "server · <1 ms"],
    ["loopback", 12.3, "loopback · 12 ms"],
    ["comm", { forMs: 12_900, heard: true }, "comm · kernel busy 12 s"],
    ["comm", { forMs: 12_900, heard: false }, "comm · kernel busy? 12 s"],
    ["comm", { forMs: 119_000, heard: true }, "comm · kernel busy 1 min"],
    ["remote", { forMs: 2000, heard: true }, "remote · no answer for 2 s"],
    ["remote", { forMs: 7_300_000, heard: false }, "remote · no answer for 2 h"],
    ["comm", null, "comm"],
    [null, null, ""],
  ] as const)("for %s and %s says %j", (transport, delay, words) => {
    const badge = new Badge();
    badge.show(transport, delay);
    expect(badge.node.textContent).toBe(words);
  });

  it("says what waits over a comm while a cell blocks", () => {
    const badge = new Badge();
    badge.show("comm", null);
    expect(badge.node.title).toContain("what you type waits while a cell blocks, output arrives");
  });

  it("says what may be the cause of silence, and what helps", () => {
    const badge = new Badge();
    badge.show("comm", { forMs: 5000, heard: false });
    expect(badge.node.title).toContain("Reconnect to Kernel");
    badge.show("comm", { forMs: 5000, heard: true });
    expect(badge.node.title).not.toContain("Reconnect");
    expect(badge.node.title).toContain("A cell blocks the kernel");
  });

  it("says why no better way carries, and what helps", () => {
    const badge = new Badge();
    badge.show("comm", 20, "http://ops.example gave this page no answer");
    expect(badge.node.title).toMatch(/there and back in 20 ms\. http:\/\/ops\.example gave this page no answer$/);
  });
});

describe("the saved state", () => {
  it("covers the live part until the room is live, as text", () => {
    const still = new Still(new FakeKernel({ _snapshot: { text: "<b>x</b>", html: "<b>x</b>", at: "2026-11-23T06:00:00.000Z" } }));
    const root = document.createElement("div");
    root.append(still.node);
    still.cover(root);
    expect(root.className).toBe("pw-waiting");
    expect(root.querySelector("b")).toBeNull();
    expect(root.querySelector("pre")!.textContent).toBe("<b>x</b>");
    still.end();
    expect([root.className, root.children.length]).toEqual(["", 0]);
  });

  it("that is empty covers nothing", () => {
    const root = document.createElement("div");
    new Still(new FakeKernel({ _snapshot: {} })).cover(root);
    expect(root.className).toBe("");
  });
});
