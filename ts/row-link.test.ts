import { beforeEach, describe, expect, it } from "vitest";
import type { OpsWindow } from "./ops-protocol.ts";
import { noChanges } from "./rooms/changes.ts";
import { OpsStore } from "./rooms/ops-store.ts";
import { RowLink } from "./row-link.ts";
import { RESULT, SNAPSHOT } from "./testing/ops.ts";

const NAME = "0123456789abcdef";

describe("a link to a row", () => {
  let store: OpsStore;
  let link: RowLink;
  let said: string[];
  let view: object;
  beforeEach(() => {
    store = new OpsStore();
    said = [];
    view = { sort: ["title"] };
    link = new RowLink(store, {
      view: () => view,
      look: (next) => {
        view = next;
      },
      select: (fingerprint) => said.push(`select ${fingerprint}`),
      found: ({ fingerprint, status }) => said.push(`found ${fingerprint} ${status}`),
      missing: (sentence) => said.push(sentence),
    });
  });

  const rows = (...names: [string, "ok" | "crit"][]) => {
    const results = names.map(([fingerprint, status]) => ({ ...RESULT, fingerprint, status, check_id: "shop" }));
    store.apply({ type: "snapshot", data: { ...SNAPSHOT, part: 1, of: 1, results } }, noChanges());
  };
  /** A window on a large board: only rows in view are here. */
  const windowOf = (count: number) => {
    const window: OpsWindow = {
      epoch: "e",
      seq: 1,
      rows: count,
      total: 5000,
      counts: store.counts(),
      from: 0,
      order: [],
      groups: [],
      results: [],
    };
    store.apply({ type: "window", data: window }, noChanges());
  };

  it("waits for its row, and of a check with several targets takes the one that fails", () => {
    link.to("shop");
    expect(said).toEqual([]);
    rows(["a", "ok"], ["b", "crit"]);
    link.seek(true);
    link.seek(true);
    expect(said).toEqual(["found b crit"]);
  });

  it("leads nowhere where all rows are here and none is meant", () => {
    rows(["a", "ok"]);
    link.to("gone");
    link.seek(true);
    expect(said).toEqual(["no row here is called gone: its check is gone, or was not looked at yet"]);
  });

  it("has a row out of view selected, by its fingerprint, or filtered for, by its check", () => {
    rows();
    windowOf(5000);
    link.to(NAME);
    expect([said, view]).toEqual([[`select ${NAME}`], { sort: ["title"] }]);
    link.seek(false, new Set([NAME]));
    expect(said.at(-1)).toContain(`no row here is called ${NAME}`);
    link.to("shop");
    expect(view).toEqual({ sort: ["title"], search: 'id:"shop"' });
    windowOf(0);
    link.seek(false);
    expect([view, said.at(-1)]).toEqual([{ sort: ["title"] }, "no row here is called shop: its check is gone, or was not looked at yet"]);
  });
});
