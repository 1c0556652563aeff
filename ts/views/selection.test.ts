import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { soon } from "../testing/kernel.ts";
import { RESULT } from "../testing/ops.ts";
import { ActionBar, type RowActions } from "./action-bar.ts";
import { toTabs } from "./csv.ts";

describe("the selected rows", () => {
  let copied: string[];
  let allowed: boolean;
  beforeEach(() => {
    copied = [];
    allowed = true;
    const writeText = async (text: string) => {
      if (!allowed) throw new Error("no");
      copied.push(text);
    };
    vi.stubGlobal("navigator", { clipboard: { writeText } });
  });
  afterEach(() => void vi.unstubAllGlobals());

  it("are copied as lines of tabs, and a browser that forbids it is told of", async () => {
    const bar = new ActionBar({} as RowActions, () => [RESULT, { ...RESULT, title: "another" }]);
    const button = [...bar.node.querySelectorAll("button")].find(({ textContent }) => textContent === "Copy")!;
    button.click();
    await soon(() => expect(bar.node.textContent).toContain("2 rows copied"));
    expect(copied).toEqual([toTabs([RESULT, { ...RESULT, title: "another" }])]);
    allowed = false;
    button.click();
    await soon(() => expect(bar.node.textContent).toContain("did not allow copying"));
  });

  it("cannot leave their cells or become formulas in a spreadsheet", () => {
    const [, line] = toTabs([{ ...RESULT, title: '=HYPERLINK("x")', summary: "a\tb\r\nc" }]).split("\n");
    const cells = line!.split("\t");
    expect(cells).toHaveLength(9);
    expect([cells[2], cells[6]]).toEqual([`'=HYPERLINK("x")`, "a b c"]);
  });
});
