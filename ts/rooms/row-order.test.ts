import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Result } from "../protocol.ts";
import { compileFilter } from "./row-filter.ts";
import { RowOrder } from "./row-order.ts";
import { hostOf, readSort } from "./row-values.ts";

interface View {
  sort: string[];
  group: string;
  search: string;
  statuses: string[];
  order: string[];
  groups?: [string, number][];
}
const vectors = JSON.parse(readFileSync("../tests/vectors/table.json", "utf8")) as {
  rows: Result[];
  views: View[];
  hosts: Record<string, string>;
};

function row(fingerprint: string, change: Partial<Result> = {}): Result {
  return { ...vectors.rows[0]!, fingerprint, title: fingerprint, ...change };
}

describe("rows in order", () => {
  it.each(vectors.views)("sorted by $sort, in groups of '$group', with '$search' and $statuses", (view) => {
    const order = new RowOrder();
    order.put(vectors.rows);
    order.sort(readSort(view.sort));
    order.group(view.group);
    order.filter(compileFilter(view));
    expect(order.order()).toEqual(view.order);
    if (view.groups) expect(order.groups.map(({ name, count }) => [name, count])).toEqual(view.groups);
  });

  it("know the host of a target", () => {
    expect(Object.fromEntries(Object.keys(vectors.hosts).map((target) => [target, hostOf(target)]))).toEqual(vectors.hosts);
  });

  it("are as a sort of everything would have them, whatever changed", () => {
    const order = new RowOrder();
    order.sort(readSort(["-duration_ms", "title"]));
    order.filter((result) => result.status !== "skip");
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
      order.put(changed);
      const gone = [`f${random(120)}`];
      for (const fingerprint of gone) rows.delete(fingerprint);
      order.remove(gone);
      const expected = [...rows.values()]
        .filter(({ status }) => status !== "skip")
        .sort((a, b) => b.duration_ms - a.duration_ms || (a.fingerprint < b.fingerprint ? -1 : 1))
        .map(({ fingerprint }) => fingerprint);
      expect(order.order()).toEqual(expected);
      for (const [place, fingerprint] of expected.entries()) expect(order.place(fingerprint)).toBe(place);
    }
  });

  it("fold into their groups: a line is a head or a row, and a folded row has no line", () => {
    const order = new RowOrder();
    order.put(vectors.rows);
    order.sort(readSort(["title"]));
    order.group("label:team");
    const lines = () => Array.from({ length: order.length }, (_, index) => describeLine(order, index));
    expect(lines()).toEqual(["data 2", "b", "e", "web 2", "a", "d", " 2", "f", "c"]);
    order.fold("web", true);
    expect(lines()).toEqual(["data 2", "b", "e", "web 2", " 2", "f", "c"]);
    expect([order.place("a"), order.place("c"), order.placeOfGroup("")]).toEqual([-1, 6, 4]);
    order.put([{ ...vectors.rows[0]!, labels: { team: "data" } }]);
    expect(lines()).toEqual(["data 3", "a", "b", "e", "web 1", " 2", "f", "c"]);
    expect(order.groups[0]!.counts).toMatchObject({ ok: 1, crit: 1, unknown: 1 });
    order.group("");
    expect(order.length).toBe(6);
  });
});

function describeLine(order: RowOrder, index: number): string {
  const line = order.line(index);
  return line.group ? `${line.group.name} ${line.group.count}` : (line.row?.fingerprint ?? "?");
}
