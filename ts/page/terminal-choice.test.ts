import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { soon } from "../testing/kernel.ts";
import { NotAllowed, NotKnown } from "./credential.ts";
import { type ListedTerminal, TerminalChoice, type TerminalList } from "./terminal-choice.ts";

const WEB: ListedTerminal = { room: "web", sandbox: "web", state: "running", people: 2 };
const JOB: ListedTerminal = { room: "a long job", sandbox: "default", state: "ended", people: 1 };

describe("the choice of a terminal", () => {
  let told: TerminalList | Error;
  let opened: [string, string][];
  let role: string;
  let page: AbortController;
  let choice: TerminalChoice;
  const list = (change: Partial<TerminalList> = {}): TerminalList => ({
    role: "operator",
    terminals: [WEB, JOB],
    more: 0,
    sandboxes: ["default", "web"],
    ...change,
  });
  const show = (first: TerminalList | Error) => {
    told = first;
    choice = new TerminalChoice(
      {
        list: async () => {
          if (told instanceof Error) throw told;
          return told;
        },
        open: (room, sandbox) => opened.push([room, sandbox]),
        role: (held) => {
          role = held;
        },
      },
      page.signal,
    );
    document.body.replaceChildren(choice.node);
  };
  const said = () => choice.node.querySelector('[role="status"]')!.textContent;
  const links = () => [...choice.node.querySelectorAll("a")];
  const form = () => choice.node.querySelector("form")!;
  const submit = (room: string, sandbox: string) => {
    choice.node.querySelector("input")!.value = room;
    choice.node.querySelector("select")!.value = sandbox;
    form().dispatchEvent(new Event("submit", { cancelable: true }));
  };
  /** Seen again, it asks again. */
  const again = () => document.dispatchEvent(new Event("visibilitychange"));
  beforeEach(() => {
    [opened, role, page] = [[], "", new AbortController()];
  });
  afterEach(() => page.abort());

  it("shows those that are open as links, with what is told of each in words", async () => {
    show(list());
    await soon(() => expect(said()).toBe("2 terminals are open."));
    expect(links().map((link) => link.getAttribute("href"))).toEqual(["#terminal=web", "#terminal=a+long+job"]);
    expect(links().map((link) => link.textContent)).toEqual([
      "web ● running · in web · 2 people",
      "a long job ■ ended · in default · 1 person",
    ]);
    expect(role).toBe("operator");
  });

  it("opens a new one in a sandbox, by a name or by the sandbox's, and joins one that is open wherever it is", async () => {
    show(list());
    await soon(() => expect(form().hidden).toBe(false));
    submit(" db incident ", "");
    submit("", "");
    submit("other", "web");
    submit("web", "default");
    expect(opened).toEqual([
      ["db incident", ""],
      ["default", ""],
      ["other", "web"],
      ["web", ""],
    ]);
  });

  it("wants a name where there is no default, and begins with a sandbox", async () => {
    show(list({ terminals: [], sandboxes: ["db", "web"] }));
    await soon(() => expect(said()).toBe("No terminal is open."));
    expect(choice.node.querySelector("select")!.value).toBe("db");
    submit("", "");
    expect(opened).toEqual([]);
    submit("", "db");
    expect(opened).toEqual([["db", "db"]]);
  });

  it("keeps the focus and what was chosen when the list changes", async () => {
    show(list());
    await soon(() => expect(links()).toHaveLength(2));
    links()[1]!.focus();
    choice.node.querySelector("select")!.value = "web";
    told = list({ terminals: [JOB], sandboxes: ["default", "db", "web"] });
    again();
    await soon(() => expect(links()).toHaveLength(1));
    expect(document.activeElement).toBe(links()[0]);
    expect(choice.node.querySelector("select")!.value).toBe("web");
    told = list({ terminals: [] });
    again();
    await soon(() => expect(links()).toHaveLength(0));
    expect(document.activeElement?.textContent).toBe("Terminals");
  });

  it("offers whoever only watches nothing to open", async () => {
    show(list({ role: "observer", terminals: [WEB], sandboxes: [] }));
    await soon(() => expect(said()).toBe("One terminal is open. You watch here: others open them."));
    expect(form().hidden).toBe(true);
  });

  it("says why it shows nothing", async () => {
    show(new NotAllowed("listing terminals needs one of the roles"));
    await soon(() => expect(said()).toBe("listing terminals needs one of the roles"));
    expect(form().hidden).toBe(true);
    told = new NotKnown("a credential is needed");
    again();
    await soon(() => expect(said()).toContain("reload the page"));
    told = list({ terminals: [WEB], more: 7 });
    again();
    await soon(() => expect(said()).toContain("8 terminals are open. 7 of them are not listed"));
  });

  it("keeps what it showed while the host is away, and puts names into the page as text", async () => {
    const evil = "<img src=x onerror=alert(1)>";
    show(list({ terminals: [{ room: evil, sandbox: evil, state: evil, people: 0 }], sandboxes: [evil] }));
    await soon(() => expect(links()).toHaveLength(1));
    expect(choice.node.querySelectorAll("img")).toHaveLength(0);
    told = new Error("the host does not answer: still trying");
    again();
    await soon(() => expect(said()).toContain("still trying"));
    expect(links()).toHaveLength(1);
  });

  it("asks no more once its view is gone", async () => {
    const asked = vi.fn(async () => list());
    choice = new TerminalChoice({ list: asked, open() {}, role() {} }, page.signal);
    await soon(() => expect(choice.node.querySelectorAll("a")).toHaveLength(2));
    page.abort();
    again();
    expect(asked).toHaveBeenCalledTimes(1);
  });
});
