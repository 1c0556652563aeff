import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { clipboardText, TerminalView } from "./terminal-view.ts";

const OPTIONS = { fontSize: 13, rows: 6, scrollback: 100, screenReader: false, pasteWithCtrlV: true };
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("a terminal's screen", () => {
  let page: AbortController;
  let view: TerminalView;
  const typed = vi.fn<(keys: string, answer: boolean) => void>();
  const events = {
    input: (keys: Uint8Array, answer: boolean) => typed(Buffer.from(keys).toString("latin1"), answer),
    unheard: vi.fn(),
    fit: () => false,
    escape: vi.fn(),
    find: vi.fn(),
    title: vi.fn(),
    clipboard: vi.fn(),
  };
  const write = (text: string) => new Promise<void>((done) => view.write(Buffer.from(text, "latin1"), done));
  const restore = (text: string) => new Promise<void>((done) => view.restore({ cols: 40, rows: 6 }, Buffer.from(text), done));

  beforeEach(() => {
    vi.clearAllMocks();
    page = new AbortController();
    view = new TerminalView(OPTIONS, events, page.signal);
    view.setTyping(true);
  });
  afterEach(() => page.abort());

  it.each([
    ["a title", "\x1b]2;never ended"],
    ["a copy request", "\x1b]52;c;aGVs"],
    ["a device control string", "\x1bP$q"],
    ["a picture", "\x1bPq#0~~~"],
    ["a private message", "\x1b^secret"],
    ["a control sequence", "\x1b[38;5"],
    ["a lone escape", "\x1b"],
    ["a character", "\xe2\x82"],
  ])("is a new one after a lag, also when output was cut inside %s", async (_what, cut) => {
    await write(`old ${cut}`);
    await restore("after the lag\r\n$ ");
    expect(view.text()).toBe("after the lag\n$\n");
    expect(events.title).not.toHaveBeenCalled();
    expect(events.clipboard).not.toHaveBeenCalled();
  });

  it("goes on inside the sequence that the new screen ends with", async () => {
    await restore("seen\x1b]2;half");
    await write(" and half\x07 more");
    expect(view.text()).toBe("seen more\n");
    expect(events.title).toHaveBeenCalledExactlyOnceWith("half and half");
  });

  it("has one sign for what is not UTF-8, and whole characters however they are cut", async () => {
    for (const byte of "\xe4\xb8\xad\xff\xe2\x82z\xf0\x9f\x98\x80!") await write(byte);
    expect(view.text()).toBe("中\ufffd\ufffdz😀!\n");
  });

  it("answers a program's questions while it runs, and none that stand in a restored screen", async () => {
    await restore("\x1b[c\x1b[6n");
    expect(typed).not.toHaveBeenCalled();
    await write("\x1b[c");
    expect(typed).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/^\x1b\[\?/), true);
  });

  it("says where the cursor is so that BusyBox' shell takes it for no key", async () => {
    await write("\x1b[2J\x1b[H/ # \x1b[6n");
    expect(typed).toHaveBeenLastCalledWith("\x1b[01;5R", true);
    await write("\r\n/ # \x1b[6n\x1b[5n");
    expect(typed.mock.calls.slice(1)).toEqual([
      ["\x1b[2;5R", true],
      ["\x1b[0n", true],
    ]);
    view.setTyping(false);
    await write("\x1b[H/ # \x1b[6n");
    await restore("/ # \x1b[6n");
    expect(typed).toHaveBeenCalledTimes(3);
  });

  it("takes what is typed while a screen is being restored, also beside the questions in it", async () => {
    const restored = restore("\x1b[c\x1b[6n$ ");
    view.terminal.input("ls\r");
    await restored;
    expect(typed).toHaveBeenCalledExactlyOnceWith("ls\r", false);
  });

  it("gives a place of the mouse in bytes to a program that knows no other way", async () => {
    view.terminal.resize(200, 6);
    await write("\x1b[?1000h");
    const core = (view.terminal as unknown as { _core: { coreMouseService: { triggerMouseEvent(event: object): boolean } } })._core;
    core.coreMouseService.triggerMouseEvent({ col: 149, row: 2, x: 0, y: 0, button: 0, action: 1, ctrl: false, alt: false, shift: false });
    expect(typed).toHaveBeenCalledExactlyOnceWith(`\x1b[M ${String.fromCharCode(150 + 32)}#`, false);
  });

  it("gives a title of five million letters on as two hundred", async () => {
    await write(`\x1b]2;${"T".repeat(5_000_000)}\x07`);
    expect(events.title.mock.calls.map(([title]) => title.length)).toEqual([200]);
  });

  it("asks for a copy when the output does, never for one that a restored screen holds", async () => {
    await restore(`\x1b]52;c;${base64("old")}\x07`);
    await write(`\x1b]52;c;?\x07\x1b]52;c;${base64("new")}\x07`);
    expect(events.clipboard).toHaveBeenCalledExactlyOnceWith("new");
    expect(typed).not.toHaveBeenCalled();
  });

  it("keeps its size whatever the program asks for", async () => {
    await restore("");
    await write("\x1b[8;500;900t\x1b[4;5000;9000t\x1b[?40h\x1b[?3h");
    expect([view.terminal.cols, view.terminal.rows]).toEqual([40, 6]);
  });

  it("tells nobody its title or its state", async () => {
    await write("\x1b]2;rm -rf /\x07\x1b[21t\x1b[20t\x05\x1bP+q544e\x1b\\");
    expect(typed).not.toHaveBeenCalled();
  });
});

describe("a request to copy", () => {
  it("is a text or nothing: no question, no bytes that are no text, not too much", () => {
    expect(clipboardText(`c;${base64("größer")}`)).toBe("größer");
    expect(clipboardText("c;?")).toBe("");
    expect(clipboardText("c;not base64!")).toBe("");
    expect(clipboardText(`c;${Buffer.from([0xff, 0xfe]).toString("base64")}`)).toBe("");
    expect(clipboardText(`c;${"QUFB".repeat(33_000)}`)).toBe("");
  });
});
