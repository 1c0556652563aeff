import { beforeEach, describe, expect, it, vi } from "vitest";
import { press } from "../testing/press.ts";
import { PeopleList, type Present } from "./people-list.ts";

describe("the people of a terminal", () => {
  const give = vi.fn();
  const eject = vi.fn();
  const one = (subject: string, role: string, change: Partial<Present> = {}): Present => ({
    subject,
    name: subject.toUpperCase(),
    roles: [role],
    connections: [`${subject}-1`, `${subject}-2`],
    me: false,
    holds: false,
    asks: false,
    ...change,
  });
  const everybody = [
    one("ana", "moderator", { me: true }),
    one("ben", "operator"),
    one("cyd", "operator", { holds: true }),
    one("mia", "moderator"),
    one("obi", "observer"),
  ];
  let list: PeopleList;
  const buttons = (label: RegExp) =>
    [...list.node.querySelectorAll("button")].map((button) => button.getAttribute("aria-label")!).filter((name) => label.test(name));
  beforeEach(() => {
    vi.clearAllMocks();
    list = new PeopleList({ give, eject });
    document.body.replaceChildren(list.node);
    list.node.hidden = false;
  });

  it("offers each only what its role lets them do", () => {
    list.show(everybody, "moderator", false);
    expect(buttons(/Hand/)).toEqual(["Hand over control to BEN", "Hand over control to MIA"]);
    expect(buttons(/Eject/)).toEqual(["Eject BEN", "Eject CYD", "Eject OBI"]);
    list.show(everybody, "operator", true);
    expect([buttons(/Hand/), buttons(/Eject/)]).toEqual([["Hand over control to BEN", "Hand over control to MIA"], []]);
    list.show(everybody, "operator", false);
    expect(buttons(/./)).toEqual([]);
    list.show(everybody, "observer", false);
    expect(buttons(/./)).toEqual([]);
  });

  it("hands over to the person's newest page and ejects at the second press, not the first", () => {
    list.show(everybody, "moderator", false);
    press(list.node, "Hand over control to BEN");
    expect(give).toHaveBeenCalledWith("ben-2");
    press(list.node, "Eject OBI");
    expect(eject).not.toHaveBeenCalled();
    press(list.node, "Really eject OBI?");
    expect(eject).toHaveBeenCalledWith("obi-1");
  });

  it("forgets the first press when the focus goes elsewhere", () => {
    list.show(everybody, "moderator", false);
    press(list.node, "Eject OBI");
    press(list.node, "Eject BEN");
    expect(buttons(/Really/)).toEqual(["Really eject BEN?"]);
    expect(eject).not.toHaveBeenCalled();
  });

  it("keeps the focus on a person's button while others come and go", () => {
    list.show(everybody, "moderator", false);
    press(list.node, "Hand over control to BEN");
    list.show([...everybody, one("new", "operator")], "moderator", false);
    expect(document.activeElement!.getAttribute("aria-label")).toBe("Hand over control to BEN");
  });

  it("shows names as text", () => {
    list.show([one("ana", "moderator", { me: true }), one("<img src=x>", "operator")], "moderator", false);
    expect(list.node.querySelectorAll("img")).toHaveLength(0);
    expect(list.node.textContent).toContain("<IMG SRC=X>");
  });
});
