import { describe, expect, it } from "vitest";
import type { Result } from "../result.ts";
import { noChanges } from "./changes.ts";
import { OpsStore } from "./ops-store.ts";
import { reuse } from "./reuse.ts";

/** As it comes: every part of it is an object of its own. */
function parsed(change: object = {}): Result {
  const whole = {
    schema: "partywidgets.result/1",
    scan_id: "01a21f64-0000-7000-8000-000000000000",
    result_id: "01a21f64-0000-7000-8000-000000000001",
    seq: 1,
    fingerprint: "0000000000000001",
    check_id: "shop-front",
    check_type: "http",
    target: "https://shop.example/health",
    title: "Shop's front",
    status: "ok",
    severity: "high",
    state: { phase: "hard", since: "2026-11-28T10:00:00.000Z", attempt: 1, max_attempts: 3, previous: "crit" },
    observed_at: "2026-11-28T11:00:00.000Z",
    duration_ms: 12,
    summary: "200 in 12 ms",
    conditions: [
      { expr: "status == 200", ok: true, actual: 200 },
      { expr: "body.status == 'ok'", ok: true, actual: "ok" },
    ],
    metrics: [],
    evidence: [],
    labels: { team: "web" },
    links: [],
    runner: { host: "ops-1", version: "1", zone: null },
    suppression: null,
    ttl_s: 60,
    ...change,
  };
  return JSON.parse(JSON.stringify(whole)) as Result;
}

describe("what a row keeps of the version before it", () => {
  it("is every part that is equal, and no word of it is another", () => {
    const [before, now, as] = [parsed(), parsed({ seq: 2 }), parsed({ seq: 2 })];
    reuse(before, now);
    expect(now).toEqual(as);
    for (const part of ["state", "labels", "runner", "conditions", "metrics", "evidence", "links"] as const)
      expect(now[part]).toBe(before[part]);
  });

  it("leaves what differs as it came, down to one condition, and touches nothing of the version before", () => {
    const before = parsed();
    const change = {
      state: { phase: "soft", since: "2026-11-28T10:00:00.000Z", attempt: 1, max_attempts: 3, previous: "crit" },
      conditions: [
        { expr: "status == 200", ok: true, actual: 200 },
        { expr: "body.status == 'ok'", ok: false, actual: { deep: 1 } },
      ],
      labels: { team: "web", tier: "1" },
      runner: null,
      metrics: [{ name: "duration_ms", value: 12 }],
      title: "Shop",
    };
    const now = parsed(change);
    reuse(before, now);
    expect(now).toEqual(parsed(change));
    expect(before).toEqual(parsed());
    expect(now.conditions[0]).toBe(before.conditions[0]);
    expect(now.conditions[1]).not.toBe(before.conditions[1]);
  });

  it("a row without labels is not one that has fewer", () => {
    const now = parsed({ labels: {} });
    reuse(parsed(), now);
    expect(now.labels).toEqual({});
  });

  it("the rows of a board share what they have in common", () => {
    const store = new OpsStore();
    const results = [parsed(), parsed({ fingerprint: "0000000000000002", seq: 2 })];
    store.apply({ type: "check-result", data: { seq: 2, scan_id: "s", done: 2, total: 2, results } } as never, noChanges());
    const [one, two] = [...store.rows.values()];
    expect(two!.runner).toBe(one!.runner);
    expect(two!.labels).toBe(one!.labels);
  });
});
