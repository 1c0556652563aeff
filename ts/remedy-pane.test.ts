import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RemedyPane } from "./remedy-pane.ts";
import type { Result } from "./result.ts";
import { OpsRoom } from "./rooms/ops-room.ts";
import type { Ran } from "./rooms/terminal-run.ts";
import type { TerminalPaneOptions } from "./terminal-pane.ts";
import { FakeKernel, soon } from "./testing/kernel.ts";
import { SNAPSHOT } from "./testing/ops.ts";

const REMEDY = { text: "", runbook: null, cell_id: null, command: "systemctl restart shop", sandbox: "web", confirm: true };
const ROW: Result = { ...SNAPSHOT.results[0]!, remediation: REMEDY };

let opened: TerminalPaneOptions[];
let ran: { command: string; end: (how: Ran) => void; began: () => void }[];
let loads: [string, number | undefined][];
let broken: boolean;
let left: number;
let sent: { type: string; data: Record<string, unknown> }[];
let focused: number;
let controller: AbortController;
let room: OpsRoom;
let pane: RemedyPane;

const load = async (name: string, attempt?: number) => {
  loads.push([name, attempt]);
  if (broken) throw new Error("it is away");
  const openTerminal = (options: TerminalPaneOptions) => {
    opened.push(options);
    const root = options.el.appendChild(document.createElement("div"));
    const screen = root.appendChild(document.createElement("div"));
    screen.className = "pw-screen";
    options.signal.addEventListener("abort", () => root.remove());
    return {
      root,
      focus: () => void focused++,
      run: (command: string, _: number, began?: () => void) => new Promise<Ran>((end) => ran.push({ command, end, began: began! })),
    };
  };
  return { openTerminal };
};
const shell = (state: "live" | "connecting" | "ended" = "live", role = "moderator") =>
  opened.at(-1)!.changed(state, { role, canType: true, lease: null, exit: null, reason: "" } as never, "");
const button = (label: string) => [...pane.node.querySelectorAll("button")].find(({ textContent }) => textContent!.startsWith(label))!;
const field = () => pane.node.querySelector("textarea")!;
const said = () => pane.node.querySelector(".pw-said")!.textContent!;
const go = () => button("Run in").click();
const key = (target: Element, name: string, more: KeyboardEventInit = {}) => {
  const event = new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more });
  target.dispatchEvent(event);
  return event;
};

beforeEach(() => {
  [opened, ran, loads, sent, broken, left, focused, controller] = [[], [], [], [], false, 0, 0, new AbortController()];
  room = new OpsRoom(
    (frame) => sent.push(JSON.parse(frame)) > 0,
    () => {},
    controller.signal,
  );
  const data = { ...SNAPSHOT, part: 1, of: 1, role: "responder", results: [ROW] };
  room.text(JSON.stringify({ type: "snapshot", data }));
  const options = { model: new FakeKernel(), el: document.body, signal: controller.signal, load };
  pane = new RemedyPane(options, { room, live: () => true }, () => void left++);
  document.body.replaceChildren(pane.node);
  pane.node.scrollIntoView = () => {};
});
afterEach(() => controller.abort());

describe("the terminal of a row", () => {
  it("is loaded when it is opened, in the room of its sandbox, with the command at hand and nothing typed", async () => {
    expect([pane.node.hidden, loads]).toEqual([true, []]);
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(1));
    expect(loads).toEqual([["terminal.js", 0]]);
    expect(opened[0]).toMatchObject({ room: "web", query: { sandboxId: "web" }, wanted: { sandbox: "web" } });
    expect(opened[0]!.tickets).toBeUndefined();
    expect([field().value, document.activeElement === field(), said()]).toEqual(["systemctl restart shop", true, "opening the terminal"]);
    expect(button("Run in web").disabled).toBe(true);
    shell();
    expect([button("Run in web").disabled, ran]).toEqual([false, []]);
    expect(said()).toContain("Run types it into the shared shell of web, where everyone sees it");
  });

  it("runs its command once it is confirmed, tells the room, and says how it went", async () => {
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(1));
    shell();
    go();
    expect([ran[0]!.command, focused]).toEqual(["systemctl restart shop", 1]);
    expect(said()).toBe("given to the shell of web: it runs when the prompt is there");
    ran[0]!.began();
    expect(said()).toBe("running in web");
    expect(button("Run in web").disabled).toBe(true);
    go();
    expect(ran).toHaveLength(1);
    ran[0]!.end({ ok: true, exitCode: 0, durationS: 2 });
    await soon(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toMatchObject({
      type: "remedy",
      data: { fingerprint: ROW.fingerprint, command: "systemctl restart shop", exit_code: 0 },
    });
    room.text(JSON.stringify({ type: "reply", data: { id: sent[0]!.data.id, ok: false, error: "there is no row" } }));
    await soon(() => expect(said()).toContain("exit 0 after 2.00 s, but the row was not looked at: there is no row"));
    button("Look at the row again").click();
    expect([sent.length, ran.length]).toEqual([2, 1]);
  });

  it("lets who only looks on read the command, and does not put them into it", async () => {
    room.text(JSON.stringify({ type: "snapshot", data: { ...SNAPSHOT, part: 1, of: 1, role: "viewer", results: [ROW] } }));
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(1));
    expect([field().value, field().readOnly, document.activeElement === pane.node]).toEqual(["systemctl restart shop", true, true]);
    shell();
    expect([button("Run in web").disabled, said()]).toEqual([true, expect.stringContaining("you are viewer here")]);
  });

  it("no longer calls a row mended that fails again", async () => {
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(1));
    shell();
    go();
    ran[0]!.end({ ok: true, exitCode: 0, durationS: 2 });
    await soon(() => expect(sent).toHaveLength(1));
    const sight = { result_id: "r", status: "ok", summary: "got 200", observed_at: ROW.observed_at };
    const proof = { id: "p1", fingerprint: ROW.fingerprint, check_id: ROW.check_id, title: ROW.title, actor: "Ana", sandbox: "web" };
    const told = { ...proof, command: "x", exit_code: 0, duration_s: 2, scan_id: "s", at: ROW.observed_at, before: null };
    const look = (status: string, seq: number) => {
      const results = [{ ...ROW, status, seq }];
      room.text(JSON.stringify({ type: "check-result", data: { seq, scan_id: "s", done: 1, total: 1, results } }));
    };
    look("ok", ROW.seq + 1);
    room.text(JSON.stringify({ type: "remedy", data: { ...told, after: { ...sight, seq: ROW.seq + 1 } } }));
    room.text(JSON.stringify({ type: "reply", data: { id: sent[0]!.data.id, ok: true, result: { remedy: "p1" } } }));
    pane.news();
    await soon(() => expect(said()).toContain("new → ok: got 200"));
    expect(said()).not.toContain("again");
    look("crit", ROW.seq + 2);
    pane.news();
    expect(said()).toContain("Since then it is crit again");
    expect(pane.node.querySelector<HTMLElement>(".pw-said")!.dataset).toMatchObject({ icon: "✖", stage: "unmended" });
  });

  it("runs what somebody wrote in its place, and offers nothing to run when there is none", async () => {
    pane.open({ ...ROW, remediation: { ...REMEDY, command: null } }, false);
    await soon(() => expect(opened).toHaveLength(1));
    shell();
    expect([button("Run in web").disabled, focused]).toEqual([true, 1]);
    field().value = "  true\n";
    field().dispatchEvent(new Event("input"));
    go();
    expect(ran[0]!.command).toBe("true");
  });

  it("runs at once where the check's author wants no question, as soon as the shell is there, and once", async () => {
    pane.open(ROW, true);
    await soon(() => expect(opened).toHaveLength(1));
    shell("connecting");
    expect(ran).toEqual([]);
    shell();
    shell();
    expect(ran).toHaveLength(1);
  });

  it("is not run by a key that was held down, and Enter in the field goes to the button", async () => {
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(1));
    shell();
    expect(key(field(), "Enter", { repeat: true }).defaultPrevented).toBe(true);
    expect(document.activeElement).toBe(field());
    key(field(), "Enter");
    expect([document.activeElement, ran]).toEqual([button("Run in web"), []]);
    expect(key(button("Run in web"), "Enter", { repeat: true }).defaultPrevented).toBe(true);
    expect(key(field(), "Enter", { shiftKey: true }).defaultPrevented).toBe(false);
  });

  it("is left by Escape outside of the screen, which ends its sockets", async () => {
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(1));
    shell();
    key(pane.node.querySelector(".pw-screen")!, "Escape");
    expect(pane.node.hidden).toBe(false);
    key(field(), "Escape");
    expect([pane.node.hidden, opened[0]!.signal.aborted, left]).toEqual([true, true, 1]);
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(2));
    controller.abort();
    expect(opened[1]!.signal.aborted).toBe(true);
  });

  it("asks again before it is left while its command runs, and is free for another row after that", async () => {
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(1));
    shell();
    go();
    pane.open({ ...ROW, fingerprint: "another", remediation: { ...REMEDY, command: "no" } }, false);
    expect(field().value).toBe("systemctl restart shop");
    pane.close();
    expect([pane.node.hidden, said().includes("its proof is lost: close again")]).toEqual([false, true]);
    pane.close();
    expect([pane.node.hidden, opened[0]!.signal.aborted]).toEqual([true, true]);
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(2));
    shell();
    expect([said().slice(0, 12), button("Run in web").disabled]).toEqual(["Run types it", false]);
  });

  it("of another row in the same sandbox is the same terminal, of another sandbox another one", async () => {
    pane.open(ROW, false);
    await soon(() => expect(opened).toHaveLength(1));
    shell();
    pane.open({ ...ROW, fingerprint: "another", title: "Another", remediation: { ...REMEDY, command: "other" } }, false);
    expect([field().value, opened.length, pane.node.textContent!.includes("Another")]).toEqual(["other", 1, true]);
    expect(said()).toContain("this row is gone");
    pane.open({ ...ROW, remediation: { ...REMEDY, sandbox: "db" } }, false);
    await soon(() => expect(opened).toHaveLength(2));
    expect([opened[0]!.signal.aborted, opened[1]!.room]).toEqual([true, "db"]);
  });

  it("that does not load says so, and is tried again as another address", async () => {
    broken = true;
    pane.open(ROW, false);
    await soon(() => expect(said()).toBe("the terminal could not be loaded: it is away"));
    broken = false;
    button("Try again").click();
    await soon(() => expect(opened).toHaveLength(1));
    expect(loads).toEqual([
      ["terminal.js", 0],
      ["terminal.js", 1],
    ]);
  });

  it("shows commands and titles as text", async () => {
    const evil = "<img src=x onerror=alert(1)>";
    pane.open({ ...ROW, title: evil, remediation: { ...REMEDY, command: evil, sandbox: evil } }, false);
    expect([pane.node.querySelectorAll("img").length, field().value]).toEqual([0, evil]);
  });
});
