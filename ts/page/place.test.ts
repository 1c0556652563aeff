import { describe, expect, it } from "vitest";
import { type Place, readPlace, writePlace } from "./place.ts";

describe("the place in a page's address", () => {
  it.each<[string, Place]>([
    ["", { view: "checks", check: "" }],
    ["#check=0f3a9c2b11d04e57", { view: "checks", check: "0f3a9c2b11d04e57" }],
    ["#terminal", { view: "terminal", room: "", sandbox: "" }],
    ["#terminal=web", { view: "terminal", room: "web", sandbox: "" }],
    ["#terminal=db-incident&sandbox=web", { view: "terminal", room: "db-incident", sandbox: "web" }],
  ])("%j is read and written back", (fragment, place) => {
    expect(readPlace(fragment)).toEqual(place);
    expect(writePlace(place)).toBe(fragment);
  });

  it("keeps names with every kind of character", () => {
    for (const name of ["a b", "a&b=c", "#x", "ü/é", "50%", "<img src=x>", "a+b"]) {
      expect(readPlace(writePlace({ view: "checks", check: name }))).toEqual({ view: "checks", check: name });
      const terminal: Place = { view: "terminal", room: name, sandbox: name };
      expect(readPlace(writePlace(terminal))).toEqual(terminal);
    }
  });

  it("reads what makes no sense as the board, and no name without end", () => {
    for (const fragment of ["#", "#check", "#something", "#check=%E0%A4%A"]) expect(readPlace(fragment).view).toBe("checks");
    expect(readPlace(`#terminal=${"x".repeat(10_000)}`)).toMatchObject({ room: "x".repeat(512) });
  });
});
