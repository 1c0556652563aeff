import { expect, it } from "vitest";
import { noChanges, OpsStore } from "../rooms/ops-store.ts";
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

it("says as a status that notifications do not arrive, as text, from the snapshot and live, and that they do again", () => {
  const store = new OpsStore();
  const bar = new OpsBar("Operations", { scan: async () => ({ type: "reply", id: "1", ok: true }), retry() {} });
  const line = bar.node.querySelector(".pw-failing")!;
  const failing = [
    { target: "<b>mail", error: "the service answered HTTP 503" },
    { target: "chat", error: "it hangs" },
  ];
  const data = { epoch: "e", seq: 1, part: 1, of: 1, results: [], notify: failing.slice(0, 1) };
  store.apply({ type: "snapshot", data }, noChanges());
  bar.draw(store);
  expect(line.getAttribute("role")).toBe("status");
  expect(line.textContent).toBe("⚠ notifications to <b>mail do not arrive: the service answered HTTP 503");
  const changes = noChanges();
  store.apply({ type: "notify", data: { failing } }, changes);
  expect(changes.scan).toBe(true);
  bar.draw(store);
  expect(line.textContent).toContain("<b>mail (and 1 more) do not arrive");
  store.apply({ type: "notify", data: { failing: [] } }, noChanges());
  bar.draw(store);
  expect(line.textContent).toBe("");
});
