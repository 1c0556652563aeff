import { beforeEach, describe, expect, it } from "vitest";
import { keepPlace, type Shelf, takePlace } from "./kept-place.ts";

const HERE = "http://host/user/ana/partywidgets/";

describe("the place that is kept over a login", () => {
  let values: Map<string, string>;
  let shelf: Shelf;
  beforeEach(() => {
    values = new Map();
    shelf = {
      getItem: (key) => values.get(key) ?? null,
      setItem: (key, value) => void values.set(key, value),
      removeItem: (key) => void values.delete(key),
    };
  });

  it("comes back once, for its own page alone", () => {
    keepPlace(shelf, HERE, "#terminal=a+b&sandbox=web", 1000);
    expect(takePlace(shelf, "http://host/user/rob/partywidgets/", 2000)).toBe("");
    expect(takePlace(shelf, HERE, 2000)).toBe("#terminal=a+b&sandbox=web");
    expect(takePlace(shelf, HERE, 2000)).toBe("");
    expect(values.size).toBe(0);
  });

  it("is nothing but a place, and not for ever", () => {
    keepPlace(shelf, HERE, "#access_token=secret", 1000);
    expect(values.size).toBe(0);
    keepPlace(shelf, HERE, "#check=shop&access_token=secret", 1000);
    expect([...values.values()].join()).not.toContain("secret");
    expect(takePlace(shelf, HERE, 1000 + 16 * 60_000)).toBe("");
    keepPlace(shelf, HERE, "#check=shop", 1000);
    keepPlace(shelf, HERE, "", 2000);
    expect(takePlace(shelf, HERE, 3000), "who asks for the board gets the board").toBe("");
  });

  it("is not what somebody else put there", () => {
    for (const strange of ["", "{", "null", '"#check=x"', '{"place": 3, "at": 1000}', '{"place": "javascript:alert(1)", "at": 1000}']) {
      shelf.setItem(`partywidgets:place:${HERE}`, strange);
      expect(takePlace(shelf, HERE, 1000)).toBe("");
    }
  });
});
