import type { Terminal } from "@xterm/xterm";
import { beforeEach, describe, expect, it, test, vi } from "vitest";
import { controlled, TouchKeys } from "./touch-keys.ts";

test.each([
  ["c", "\x03"],
  ["D", "\x04"],
  ["[", "\x1b"],
  ["?", "\x7f"],
  [" ", "\x00"],
  ["é", "é"],
  ["ls", "ls"],
  ["\r", "\r"],
])("Ctrl makes of %j %j", (typed, sent) => {
  expect(controlled(typed)).toBe(sent);
});

describe("the keys below a screen", () => {
  const input = vi.fn();
  const unheard = vi.fn();
  const terminal = { input, modes: { applicationCursorKeysMode: false }, options: { disableStdin: false } };
  let keys: TouchKeys;
  const key = (sign: string) => [...keys.node.querySelectorAll("button")].find(({ textContent }) => textContent === sign)!;

  beforeEach(() => {
    vi.clearAllMocks();
    Object.assign(terminal, { modes: { applicationCursorKeysMode: false }, options: { disableStdin: false } });
    keys = new TouchKeys(terminal as unknown as Terminal, unheard);
  });

  it("send what the keys of a desk send, arrows as the program wants them", () => {
    key("Esc").click();
    key("↑").click();
    terminal.modes.applicationCursorKeysMode = true;
    key("↑").click();
    expect(input.mock.calls.flat()).toEqual(["\x1b", "\x1b[A", "\x1bOA"]);
  });

  it("hold Ctrl for one letter, and say that it is held", () => {
    key("Ctrl").click();
    expect(key("Ctrl").getAttribute("aria-pressed")).toBe("true");
    expect([keys.typed("d"), keys.typed("d")]).toEqual(["\x04", "d"]);
    expect(key("Ctrl").getAttribute("aria-pressed")).toBe("false");
  });

  it("let Ctrl go with any other key, and by a second press", () => {
    key("Ctrl").click();
    key("Tab").click();
    expect(keys.typed("a")).toBe("a");
    key("Ctrl").click();
    key("Ctrl").click();
    expect(keys.typed("a")).toBe("a");
  });

  it("say where nobody may type that it is not sent", () => {
    terminal.options.disableStdin = true;
    key("^C").click();
    expect(input).not.toHaveBeenCalled();
    expect(unheard).toHaveBeenCalledOnce();
  });

  it("leave the focus where it is", () => {
    const press = new MouseEvent("mousedown", { bubbles: true, cancelable: true });
    key("Tab").dispatchEvent(press);
    expect(press.defaultPrevented).toBe(true);
  });
});
