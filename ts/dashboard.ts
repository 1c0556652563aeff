/** The bundle of a dashboard: counts, the running scan, the table, and the selected check in full. */
import { type MountOptions, option } from "./model.ts";
import { followModel, opsLink } from "./ops-link.ts";
import type { Past } from "./ops-protocol.ts";
import { RemedyPane } from "./remedy-pane.ts";
import { RowLink } from "./row-link.ts";
import baseStyles from "./styles/base.css";
import dashboardStyles from "./styles/dashboard.css";
import tableStyles from "./styles/table.css";
import { Detail } from "./views/detail.ts";
import { addStyles, element } from "./views/element.ts";
import type { ChartBundle } from "./views/latency-chart.ts";
import { ScanTable } from "./views/scan-table.ts";
import { Still } from "./views/still.ts";
import { followTheme } from "./views/theme.ts";

export function mount(options: MountOptions): void {
  const { model, el, signal } = options;
  addStyles(el, "base", baseStyles);
  addStyles(el, "table", tableStyles);
  addStyles(el, "dashboard", dashboardStyles);
  const ops = opsLink(
    options,
    option(model, "title", "Operations"),
    (changes) => {
      still.end();
      table.draw(changes);
      if (changes.reset || changes.skipped > 0) asked = nothing;
      if (changes.reset && !closed && !detail.fingerprint) show(table.selection.at(-1));
      link.seek(changes.reset, changes.removed);
      const shown = detail.fingerprint;
      if (
        shown &&
        (changes.reset ||
          changes.skipped > 0 ||
          changes.changed.has(shown) ||
          changes.removed.has(shown) ||
          changes.proved.has(shown) ||
          changes.transitions.some(({ fingerprint }) => fingerprint === shown))
      )
        show(shown);
      remedy.news(changes);
    },
    () => remedy.news(),
  );
  const { store } = ops.room;
  const still = new Still(model);
  let closed = false;
  const nothing = { fingerprint: "", at: Number.NEGATIVE_INFINITY, ok: false };
  let asked = nothing;
  const show = (fingerprint: string | undefined) => {
    const row = fingerprint === undefined ? undefined : store.rows.get(fingerprint);
    if (!row) {
      detail.show(null, [], []);
      return;
    }
    const { fingerprint: key } = row;
    const past = {
      proof: store.pasts.proof(key),
      hours: store.pasts.hours(key),
      witness: store.pasts.witness(key),
      next: store.pasts.nextLook(key),
    };
    const draw = () => detail.show(row, store.pasts.series(key), store.pasts.transitions(key), past);
    const since = performance.now() - asked.at;
    const looked = Date.parse(store.pasts.nextLook(key) ?? "") <= Date.parse(row.observed_at);
    const ok = row.status === "ok";
    // Asked for when another row is chosen or it fails or recovers, after a reconnect, once an hour for the bars, and when the look it
    // told of has come.
    if (asked.fingerprint !== key || asked.ok !== ok || since > 3_600_000 || (looked && since > 5000)) {
      asked = { fingerprint: key, at: performance.now(), ok };
      void ops.room.ask("past", { fingerprint: key }).then((reply) => {
        if (signal.aborted || !reply.ok) return;
        store.pasts.remember(key, reply.result as Past);
        if (detail.fingerprint === key) show(key);
      });
    }
    draw();
  };
  const link = new RowLink(store, {
    view: () => (model.get("view") ?? {}) as object,
    look(view) {
      table.setView(view);
      ops.traits.write("view", view);
    },
    select: (fingerprint) => table.select([fingerprint]),
    found({ fingerprint }) {
      closed = false;
      table.select([fingerprint]);
      ops.traits.write("selection", [fingerprint]);
      show(fingerprint);
      detail.focus();
    },
    missing: (sentence) => table.tell({ id: "", ok: false, error: sentence }),
  });
  const follow = () => link.to(String(model.get("check") ?? ""));
  const detail = new Detail(
    {
      recheck: (fingerprint) => void ops.actions.recheck([fingerprint]).then((reply) => table.tell(reply)),
      terminal(fingerprint, run) {
        const row = store.rows.get(fingerprint);
        if (row) remedy.open(row, run);
      },
      close: () => {
        closed = true;
        show(undefined);
        table.focus();
        remedy.close();
      },
    },
    signal,
    (attempt) => options.load("chart.js", attempt) as Promise<ChartBundle>,
  );
  const remedy = new RemedyPane(options, { room: ops.room, live: () => ops.live }, () => {
    if (detail.fingerprint) detail.focus(true);
    else table.focus();
  });
  const table = new ScanTable(store, option(model, "height", 420), model.get("view"), {
    view: (view) => ops.traits.write("view", view),
    window: (query) => ops.room.ask("window", query),
    rows: (query) => ops.room.rows(query),
    selection(fingerprints) {
      closed = false;
      ops.traits.write("selection", fingerprints);
      show(fingerprints.at(-1));
    },
    open: (fingerprint) => {
      show(fingerprint);
      detail.focus();
    },
    actions: ops.actions,
  });
  table.node.addEventListener("click", ({ target, shiftKey, ctrlKey, metaKey }) => {
    if (shiftKey || ctrlKey || metaKey || !(target instanceof Element)) return;
    if (target.closest(".pw-row[data-fingerprint]")) detail.reveal();
  });
  const root = element(
    "div",
    { class: "pw pw-ops pw-dashboard", "data-lm-suppress-shortcuts": "true" },
    ops.bar.node,
    still.node,
    element("div", { class: "pw-panes pw-live" }, table.node, detail.node),
    remedy.node,
  );
  still.cover(root);
  root.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);
  followTheme(root, signal);
  table.open(signal);
  followModel(options, table, (fingerprints) => show(fingerprints.at(-1)));
  follow();
  model.on("change:check", follow);
  signal.addEventListener("abort", () => model.off("change:check", follow));
  ops.attend(table);
  ops.connect();
  signal.addEventListener("abort", () => root.remove());
}
