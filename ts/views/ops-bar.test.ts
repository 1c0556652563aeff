import { expect, it } from "vitest";
import { OpsStore } from "../rooms/ops-store.ts";
import { OpsBar } from "./ops-bar.ts";

it("says of the last scan how many checks it ran, beside what started it; midnight is 00:00", () => {
  const store = new OpsStore();
  store.checks = 5;
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {} });
  bar.draw(store);
  expect(bar.node.textContent).toContain("5 checks");
  store.lastScan = {
    ...store.lastScan!,
    trigger: "interval",
    total: 4,
    started_at: new Date(2026, 0, 1).toISOString(),
    finished_at: new Date(2026, 0, 1, 0, 0, 0, 423).toISOString(),
  };
  bar.draw(store);
  expect(bar.node.textContent).toMatch(/last scan .*00:00:00 \(interval, 4 checks, 423 ms\)/);
  expect(bar.node.textContent).not.toContain("4 checks ·");
});
