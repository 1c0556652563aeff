import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { option, TraitWriter } from "./model.ts";
import { FakeKernel } from "./testing/kernel.ts";

let kernel: FakeKernel;
let controller: AbortController;
let traits: TraitWriter;

beforeEach(() => {
  vi.useFakeTimers();
  kernel = new FakeKernel({ state: "connecting", counts: {} });
  controller = new AbortController();
  traits = new TraitWriter(kernel, controller.signal);
});
afterEach(() => vi.useRealTimers());

describe("traits", () => {
  it("are saved once for many writes, with the last value", () => {
    traits.write("state", "live");
    traits.write("counts", { ok: 1 });
    traits.write("counts", { ok: 2 });
    vi.advanceTimersByTime(250);
    expect([kernel.get("state"), kernel.get("counts"), kernel.saved]).toEqual(["live", { ok: 2 }, 1]);
  });

  it("that did not change are not saved", () => {
    traits.write("state", "connecting");
    vi.advanceTimersByTime(250);
    expect(kernel.saved).toBe(0);
  });

  it("survive a kernel that is gone", () => {
    kernel.save_changes = () => {
      throw new Error("no comm channel defined");
    };
    traits.write("state", "lost");
    expect(() => vi.advanceTimersByTime(250)).not.toThrow();
    expect(kernel.get("state")).toBe("lost");
  });

  it("are not written after the view is gone", () => {
    traits.write("state", "live");
    controller.abort();
    vi.advanceTimersByTime(1000);
    expect(kernel.get("state")).toBe("connecting");
  });
});

describe("an option", () => {
  it("is taken when it has the default's type, and never otherwise", () => {
    const model = new FakeKernel({ _options: { rows: 30, title: 3 } });
    expect([option(model, "rows", 24), option(model, "title", "Checks"), option(model, "none", true)]).toEqual([30, "Checks", true]);
    expect(option(new FakeKernel(), "rows", 24)).toBe(24);
  });
});
