import { describe, expect, it } from "vitest";
import type { Result } from "../result.ts";
import { toCsv } from "./csv.ts";
import { element } from "./element.ts";
import { sentence } from "./latency-chart.ts";
import { age, duration, isStale, statusMark, suppressionText } from "./status.ts";

const row = (change: Partial<Result>): Result =>
  ({
    fingerprint: "f",
    check_id: "c",
    title: "t",
    target: "x",
    status: "ok",
    severity: "low",
    summary: "",
    duration_ms: 1,
    observed_at: "2026-11-23T06:00:00.000Z",
    ttl_s: 60,
    ...change,
  }) as Result;

describe("CSV", () => {
  it("quotes commas, quotes and lines", () => {
    expect(toCsv([row({ summary: 'a, "b"\nc' })]).split("\r\n")[1]).toContain('"a, ""b""\nc"');
  });

  it.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])("makes %j no formula", (summary) => {
    expect(toCsv([row({ summary })])).toContain(`'${summary}`);
  });

  it("leaves numbers as numbers", () => {
    expect(toCsv([row({ duration_ms: -1 })])).toContain(",-1,");
  });
});

describe("words", () => {
  it.each([
    [0.4, "0.4 ms"],
    [999.4, "999 ms"],
    [1500, "1.50 s"],
    [61_000, "1 min 1 s"],
    [Number.NaN, ""],
  ])("for a duration of %d ms are %j", (ms, words) => expect(duration(ms)).toBe(words));

  it.each([
    [0, "now"],
    [59, "59s"],
    [3599, "59m"],
    [90_000, "1d"],
  ])("for an age of %d s are %j", (seconds, words) => expect(age(0, seconds * 1000)).toBe(words));

  it("for a broken time are none", () => expect(age("never")).toBe(""));

  it("tell an ack from a silence, by whom", () => {
    expect(suppressionText({ by: "ack", id: null, until: null, actor: "Ana", reason: "r" })).toBe("acked by Ana");
    expect(suppressionText({ by: "dependency", id: "router", until: null, actor: null, reason: "r" })).toBe("waits for router");
    expect(suppressionText(null)).toBe("");
  });

  it("for a line say what it shows", () => {
    expect(sentence([])).toBe("no duration yet");
    expect(sentence([1, 2, 3].map((ms) => ({ at: ms, durationMs: ms, status: "ok" as const })))).toMatch(
      /^last 3.0 ms, median 2.0 ms, p95 3.0 ms, max 3.0 ms of 3 since/,
    );
  });

  it("call a result stale past its time only", () => {
    const at = Date.parse("2026-11-23T06:00:00.000Z");
    expect([isStale(row({}), at + 59_000), isStale(row({}), at + 61_000), isStale(row({ ttl_s: null }), at + 1e9)]).toEqual([
      false,
      true,
      false,
    ]);
  });
});

describe("text from outside", () => {
  it("enters the page as text", () => {
    const node = element("div", { title: '"><b>' }, "<img src=x onerror=alert(1)>");
    expect(node.children).toHaveLength(0);
    expect(node.textContent).toBe("<img src=x onerror=alert(1)>");
  });

  it("of an unknown status keeps its word and gets a sign", () => {
    const mark = statusMark("<b>odd" as never);
    expect(mark.textContent).toBe("?<b>odd");
    expect(mark.className).toBe("pw-status pw-status-unknown");
  });
});
