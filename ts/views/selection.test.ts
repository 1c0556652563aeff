import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Result } from "../protocol.ts";
import { soon } from "../testing/kernel.ts";
import { ActionBar, type RowActions } from "./action-bar.ts";
import { toTabs } from "./csv.ts";
import { TabulatorView } from "./table-view.ts";

const vectors = JSON.parse(readFileSync("../tests/vectors/ops.json", "utf8")) as {
  message: { type: string; data: { results: Result[] } };
}[];
const RESULT = vectors.find(({ message }) => message.type === "snapshot")!.message.data.results[0]!;

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

describe("the grid", () => {
  it("tells a screen reader how many rows there are, which is which, and how they are sorted", async () => {
    const holder = document.createElement("div");
    document.body.replaceChildren(holder);
    const view = new TabulatorView(holder, 300, { choose() {}, open() {} });
    try {
      const rows = ["b", "a", "c"].map((name) => ({ ...RESULT, fingerprint: name, title: name }));
      await view.put(rows, new Map());
      await soon(() => expect(view.node.getAttribute("aria-rowcount")).toBe("4"));
      expect(view.order()).toEqual(["a", "b", "c"]);
      const sorted = [...view.node.querySelectorAll("[aria-sort]")].map((node) => node.getAttribute("aria-sort"));
      expect(sorted).toContain("ascending");
      expect(view.node.tabIndex).toBe(0);
      view.filter(({ title }) => title !== "a");
      await soon(() => expect(view.node.getAttribute("aria-rowcount")).toBe("3"));
    } finally {
      view.destroy();
    }
  });
});
