import { beforeEach, describe, expect, it, vi } from "vitest";
import { press } from "../testing/press.ts";
import { AskList } from "./ask-list.ts";

describe("requests for control", () => {
  const give = vi.fn();
  const refuse = vi.fn();
  const asker = (name: string) => ({ connection: `${name}-1`, name });
  let list: AskList;
  const names = () => [...list.node.querySelectorAll("button")].map((button) => button.getAttribute("aria-label"));
  beforeEach(() => {
    vi.clearAllMocks();
    list = new AskList({ give, refuse });
    document.body.replaceChildren(list.node);
  });

  it("has nothing to answer, and no focus to give, while nobody asks", () => {
    list.show([]);
    expect([names(), list.focus(), list.node.textContent]).toEqual([[], false, ""]);
  });

  it("speaks of the newest, and answers each with one press", () => {
    list.show([asker("Ben"), asker("Cyd")]);
    expect(list.node.querySelector('[role="status"]')!.textContent).toContain("Cyd asks for control");
    expect(names()).toEqual(["Give control to Ben", "Refuse Ben", "Give control to Cyd", "Refuse Cyd"]);
    press(list.node, "Give control to Cyd");
    expect(give).toHaveBeenCalledWith("Cyd-1");
    press(list.node, "Refuse Ben");
    expect(refuse).toHaveBeenCalledWith("Ben-1");
  });

  it("takes no focus from who types, gives it when asked, and keeps it while others come and go", () => {
    const field = document.createElement("input");
    document.body.append(field);
    field.focus();
    list.show([asker("Ben"), asker("Cyd")]);
    expect(document.activeElement).toBe(field);
    expect(list.focus()).toBe(true);
    expect(document.activeElement!.getAttribute("aria-label")).toBe("Give control to Ben");
    press(list.node, "Refuse Cyd");
    list.show([asker("Cyd"), asker("Dan")]);
    expect(document.activeElement!.getAttribute("aria-label")).toBe("Refuse Cyd");
  });

  it("says whom they ask where that is somebody else, and then takes no focus from the bar", () => {
    list.show([asker("Ben")], "Cyd");
    expect(list.node.querySelector('[role="status"]')!.textContent).toBe("Ben asks Cyd for control.");
    expect(list.node.querySelector("li")!.textContent).toContain("Ben asks Cyd for control");
    expect(list.focus()).toBe(false);
    press(list.node, "Refuse Ben");
    expect(refuse).toHaveBeenCalledWith("Ben-1");
  });

  it("draws three lines and counts the others", () => {
    list.show(["a", "b", "c", "d", "e"].map(asker));
    expect(names()).toHaveLength(6);
    expect(list.node.textContent).toContain("2 more ask");
  });

  it("shows names as text", () => {
    list.show([asker("<img src=x>")]);
    expect(list.node.querySelectorAll("img")).toHaveLength(0);
    expect(list.node.textContent).toContain("<img src=x>");
  });
});
