import { beforeEach, describe, expect, it } from "vitest";
import { cleaned, PasteQuestion } from "./paste-question.ts";

describe("what is pasted", () => {
  let pasted: string[];
  let back: number;
  let question: PasteQuestion;
  beforeEach(() => {
    pasted = [];
    back = 0;
    question = new PasteQuestion(
      (text) => pasted.push(text),
      () => back++,
    );
    document.body.replaceChildren(question.node);
  });

  it("is typed at once where it is one line, or the program takes pasted text as such", () => {
    question.take("df -h", false);
    question.take("one\ntwo\n", true);
    expect(pasted).toEqual(["df -h", "one\ntwo\n"]);
    expect(question.node.hidden).toBe(true);
  });

  it("waits for a yes where its lines would run, a single one with its end too", () => {
    question.take("rm a\r\n<b>rm</b> b\n", false);
    expect(pasted).toEqual([]);
    expect(document.activeElement!.textContent).toBe("Paste");
    expect(question.node.querySelector("code")!.textContent).toBe("rm a ⏎ <b>rm</b> b");
    expect(question.node.textContent).toContain("2 lines, 18 characters");
    (document.activeElement as HTMLElement).click();
    expect([pasted, back, question.node.hidden]).toEqual([["rm a\r\n<b>rm</b> b\n"], 1, true]);
    question.take("reboot\n", false);
    expect(question.node.textContent).toContain("1 line, 7 characters");
    question.node.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    expect([pasted.length, back, question.node.hidden]).toEqual([1, 2, true]);
  });

  it("has no control characters, which could end a bracketed paste", () => {
    expect(cleaned("a\x1b[201~\rb\tc\nd\x03\x9b\x7f")).toBe("a[201~\rb\tc\nd");
    question.take("\x1b[201~reboot", true);
    expect(pasted).toEqual(["[201~reboot"]);
  });

  it("is taken from the page for whoever may type, no more than a host takes in one message, and said where it is not", () => {
    const field = document.createElement("textarea");
    document.body.append(field);
    const told: string[] = [];
    let mayType = false;
    const target = {
      canType: () => mayType,
      unheard: () => told.push("unheard"),
      refused: (sentence: string) => told.push(sentence),
      bracketed: () => true,
    };
    question.listen(field, target, new AbortController().signal);
    const paste = (text: string) => {
      const event = new Event("paste", { bubbles: true, cancelable: true });
      Object.assign(event, { clipboardData: { getData: () => text } });
      field.dispatchEvent(event);
      return event.defaultPrevented;
    };
    expect([paste("ls"), pasted, told]).toEqual([true, [], ["unheard"]]);
    mayType = true;
    paste("é".repeat(500_001));
    expect([pasted, told.at(-1)]).toEqual([[], expect.stringMatching(/^Not pasted: the text has 1001 kB/)]);
    paste("ls");
    expect([pasted, told.at(-1)]).toEqual([["ls"], ""]);
  });
});
