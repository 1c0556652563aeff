/** The bundle of a scan table. */
import { givenResults } from "./given-results.ts";
import { type MountOptions, option } from "./model.ts";
import { followModel, opsLink } from "./ops-link.ts";
import type { Changes } from "./rooms/changes.ts";
import baseStyles from "./styles/base.css";
import tableStyles from "./styles/table.css";
import { addStyles, element } from "./views/element.ts";
import { ScanTable } from "./views/scan-table.ts";
import { Still } from "./views/still.ts";
import { followTheme } from "./views/theme.ts";

export function mount(options: MountOptions): void {
  const { model, el, signal } = options;
  addStyles(el, "base", baseStyles);
  addStyles(el, "table", tableStyles);
  const title = option(model, "title", "Checks");
  const draw = (changes: Changes) => {
    still.end();
    table.draw(changes);
  };
  const given = option(model, "given", "");
  const ops = given ? givenResults(options, title, given, draw) : opsLink(options, title, draw);
  const still = new Still(model);
  const table = new ScanTable(ops.room.store, option(model, "height", 420), model.get("view"), {
    view: (view) => ops.traits.write("view", view),
    window: (query) => ops.room.ask("window", query),
    rows: (query) => ops.room.rows(query),
    selection: (fingerprints) => ops.traits.write("selection", fingerprints),
    open: () => {},
    actions: ops.actions,
  });
  const root = element(
    "div",
    { class: "pw pw-ops", "data-lm-suppress-shortcuts": "true" },
    ops.bar.node,
    still.node,
    element("div", { class: "pw-live" }, table.node),
  );
  still.cover(root);
  root.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);
  followTheme(root, signal);
  table.open(signal);
  followModel(options, table);
  ops.attend(table);
  ops.connect();
  signal.addEventListener("abort", () => root.remove());
}
