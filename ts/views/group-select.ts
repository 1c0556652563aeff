/** By what the rows are grouped: fields, and the labels that the rows have. */
import type { Result } from "../result.ts";
import { element } from "./element.ts";

const FIELDS: [string, string][] = [
  ["", "No groups"],
  ["status", "By status"],
  ["severity", "By severity"],
  ["check_type", "By type"],
  ["host", "By host"],
];
const LABELS = 50;

export class GroupSelect {
  readonly node = element("select", { "aria-label": "Group the rows", title: "Group the rows" });
  #rows: () => Iterable<Result>;

  constructor(rows: () => Iterable<Result>, choose: (group: string) => void) {
    this.#rows = rows;
    this.node.addEventListener("change", () => choose(this.node.value));
    // The labels are those of the moment when somebody looks.
    for (const event of ["pointerdown", "focus"]) this.node.addEventListener(event, () => this.#draw(this.node.value));
    this.#draw("");
  }

  show(group: string): void {
    if (this.node.value !== group) this.#draw(group);
  }

  #draw(group: string): void {
    const labels = new Set<string>();
    for (const { labels: own } of this.#rows()) {
      for (const label of Object.keys(own ?? {})) labels.add(label);
      if (labels.size >= LABELS) break;
    }
    const options: [string, string][] = [
      ...FIELDS,
      ...[...labels].sort().map((label): [string, string] => [`label:${label}`, `By ${label}`]),
    ];
    if (!options.some(([value]) => value === group)) options.push([group, `By ${group.slice(6)}`]);
    const drawn = [...this.node.options].map(({ value }) => value);
    if (options.length !== drawn.length || options.some(([value], index) => value !== drawn[index]))
      this.node.replaceChildren(...options.map(([value, words]) => element("option", { value }, words)));
    this.node.value = group;
  }
}
