/** The statuses with how many rows have each, as buttons that filter by them. */
import { type Counts, STATUSES, type Status } from "../result.ts";
import { element, setText } from "./element.ts";
import { STATUS_ICONS } from "./status.ts";

export class StatusChips {
  readonly node = element("div", { class: "pw-chips", role: "group", "aria-label": "Filter by status" });
  #chips = new Map<Status, { node: HTMLButtonElement; count: HTMLElement }>();
  #pressed: readonly Status[] = [];

  /** `choose` gets the statuses that are to be shown; none: all. */
  constructor(choose: (statuses: Status[]) => void) {
    for (const status of STATUSES) {
      const count = element("span", { class: "pw-count" }, "0");
      const node = element(
        "button",
        { type: "button", class: `pw-chip pw-status-${status}`, "aria-pressed": "false", title: `Show ${status} only` },
        element("span", { class: "pw-icon", "aria-hidden": "true" }, STATUS_ICONS[status]),
        count,
        element("span", { class: "pw-chip-word" }, status),
      );
      node.addEventListener("click", () => {
        const others = this.#pressed.filter((other) => other !== status);
        choose(this.#pressed.includes(status) ? others : [...others, status]);
      });
      this.#chips.set(status, { node, count });
      this.node.append(node);
    }
  }

  /** These are shown. */
  press(statuses: readonly Status[]): void {
    this.#pressed = statuses;
    for (const [status, { node }] of this.#chips) node.setAttribute("aria-pressed", String(statuses.includes(status)));
  }

  count(counts: Counts): void {
    for (const [status, { node, count }] of this.#chips) {
      setText(count, counts[status].toLocaleString("en"));
      node.classList.toggle("pw-zero", counts[status] === 0);
    }
  }
}
