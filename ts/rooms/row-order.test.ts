import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Result } from "../result.ts";
import { compileFilter, goesByTime, toggleWord } from "./row-filter.ts";
import { RowOrder } from "./row-order.ts";
import { COLUMN_KEYS, DEFAULT_SORT, GROUPINGS, hostOf, readSort } from "./row-values.ts";
import type { Steps } from "./slices.ts";

interface View {
  sort: string[];
  group: string;
  search: string;
  statuses: string[];
  order: string[];
  groups?: [string, number][];
}
const vectors = JSON.parse(readFileSync("../tests/vectors/table.json", "utf8")) as {
  columns: string[];
  groupings: string[];
  default_sort: string[];
  now: string;
  rows: Result[];
  views: View[];
  hosts: Record<string, string>;
};

function row(fingerprint: string, change: Partial<Result> = {}): Result {
  return { ...vectors.rows[0]!, fingerprint, title: fingerprint, ...change };
}

/** Every step at once. */
function all(steps: Steps): void {
  for (const _ of steps);
}

it("has the host's names of columns and groups", () => {
  expect(COLUMN_KEYS).toEqual(vectors.columns);
  expect(GROUPINGS).toEqual(vectors.groupings);
  expect(DEFAULT_SORT).toEqual(vectors.default_sort);
});

describe("rows in order", () => {
  it.each(vectors.views)("sorted by $sort, in groups of '$group', with '$search' and $statuses", (view) => {
    const order = new RowOrder();
    all(order.put(vectors.rows));
    all(order.arrange({ sort: readSort(view.sort), group: view.group, keep: compileFilter(view, () => Date.parse(vectors.now)) }));
    expect(order.order()).toEqual(view.order);
    if (view.groups) expect(order.groups.map(({ name, count }) => [name, count])).toEqual(view.groups);
  });

  it("are filtered by a word that a click puts behind the others and takes out again", () => {
    expect([toggleWord("", "is:stale"), toggleWord('team=web "two words"', "is:stale")]).toEqual([
      "is:stale",
      'team=web "two words" is:stale',
    ]);
    expect([toggleWord("IS:stale", "is:stale"), toggleWord("a is:stale -b", "is:stale")]).toEqual(["", "a -b"]);
    expect(["is:stale", "a -is:STALE", "is:stalest", '"is:stale"', ""].map(goesByTime)).toEqual([true, true, false, false, false]);
  });

  it("know the host of a target", () => {
    expect(Object.fromEntries(Object.keys(vectors.hosts).map((target) => [target, hostOf(target)]))).toEqual(vectors.hosts);
  });

  it("are as a sort of everything would have them, whatever changed", () => {
    const order = new RowOrder();
    const sort = readSort(["-duration_ms", "title"]);
    all(order.arrange({ sort, group: "", keep: ({ status }) => status !== "skip" }));
    const rows = new Map<string, Result>();
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    for (let batch = 0; batch < 200; batch++) {
      const changed = Array.from({ length: random(40) }, () => {
        const fingerprint = `f${random(120)}`;
        return row(fingerprint, { duration_ms: random(30), status: (["ok", "crit", "skip"] as const)[random(3)]! });
      });
      for (const result of changed) rows.set(result.fingerprint, result);
      // A fingerprint may come twice in a batch: the last counts.
      all(order.put(changed));
      const gone = [`f${random(120)}`];
      for (const fingerprint of gone) rows.delete(fingerprint);
      all(order.put([], gone));
      const expected = [...rows.values()]
        .filter(({ status }) => status !== "skip")
        .sort((a, b) => b.duration_ms - a.duration_ms || (a.fingerprint < b.fingerprint ? -1 : 1))
        .map(({ fingerprint }) => fingerprint);
      expect(order.order()).toEqual(expected);
      for (const [place, fingerprint] of expected.entries()) expect(order.place(fingerprint)).toBe(place);
    }
  });

  it("stand whole at every step of a change, as they were or as they come to be", () => {
    const order = new RowOrder();
    const rows = Array.from({ length: 3000 }, (_, index) => row(`f${index}`, { duration_ms: (index * 7919) % 3000 }));
    const look = { sort: readSort(["duration_ms"]), group: "", keep: () => true };
    all(order.arrange(look));
    all(order.put(rows));
    const shown = () => Array.from({ length: order.length }, (_, index) => order.line(index) as { row: Result });
    const changed = rows.slice(0, 2000).map((result) => ({ ...result, duration_ms: 3000 - result.duration_ms }));
    const lengths = new Set<number>();
    let steps = 0;
    for (const _ of order.put(changed, ["f2999"])) {
      lengths.add(order.length);
      if (++steps % 3 > 0) continue;
      const now = shown().map(({ row }) => row);
      expect(now.every((result, index) => index === 0 || now[index - 1]!.duration_ms <= result.duration_ms)).toBe(true);
      for (const index of [0, 1234, 2998]) expect(order.place(now[index]!.fingerprint)).toBe(index);
    }
    expect(steps).toBeGreaterThan(10);
    expect([...lengths]).toEqual([3000, 2999]);
    const durations = shown().map(({ row }) => row.duration_ms);
    expect(durations).toEqual([...durations].sort((a, b) => a - b));
    expect(durations.length).toBe(2999);
    for (const _ of order.arrange({ ...look, sort: readSort(["-title"]), keep: ({ fingerprint }) => fingerprint < "f2" }))
      expect(order.rows).toBe(2999);
    const titles = shown().map(({ row }) => row.title);
    expect(titles).toEqual(
      titles
        .filter((title) => title < "f2")
        .sort()
        .reverse(),
    );
    expect(titles.length).toBe(1112);
  });

  it("fold into their groups: a line is a head or a row, and a folded row has no line", () => {
    const order = new RowOrder();
    const look = { sort: readSort(["title"]), keep: () => true };
    all(order.put(vectors.rows));
    all(order.arrange({ ...look, group: "label:team" }));
    const lines = () => Array.from({ length: order.length }, (_, index) => describeLine(order, index));
    expect(lines()).toEqual(["data 2", "b", "e", "web 2", "a", "d", " 2", "f", "c"]);
    order.fold("web", true);
    expect(lines()).toEqual(["data 2", "b", "e", "web 2", " 2", "f", "c"]);
    expect([order.place("a"), order.place("c"), order.placeOfGroup("")]).toEqual([-1, 6, 4]);
    all(order.put([{ ...vectors.rows[0]!, labels: { team: "data" } }]));
    expect(lines()).toEqual(["data 3", "a", "b", "e", "web 1", " 2", "f", "c"]);
    expect(order.groups[0]!.counts).toMatchObject({ ok: 1, crit: 1, unknown: 1 });
    all(order.arrange({ ...look, group: "" }));
    expect(order.length).toBe(6);
  });
});

function describeLine(order: RowOrder, index: number): string {
  const line = order.line(index);
  return line.group ? `${line.group.name} ${line.group.count}` : (line.row?.fingerprint ?? "?");
}
