/** Which rows are gone, why, by whom and when: a few words in the bar, the whole of it on demand, until it is old or was dismissed. */
import type { Removed } from "../ops-protocol.ts";
import { element, setText } from "./element.ts";
import { clock } from "./status.ts";

/** How long it stays in the bar that rows have gone. */
const REMOVED_MS = 10 * 60_000;
let notices = 0;

export class RemovedNotice {
  /** The words that unfold the rest; the place around them speaks when they change. */
  readonly node = element("span", { class: "pw-removed", role: "status" });
  readonly whole: HTMLElement;
  #words: HTMLButtonElement;
  #text = element("span", { class: "pw-wrap" });
  /** When what was dismissed had happened: the next removal is told again. */
  #dismissed = "";
  #at = "";

  /** `leave` gives the focus a place when the notice that had it goes. */
  constructor(leave: () => void) {
    const id = `pw-removed-${++notices}`;
    this.#words = element("button", {
      type: "button",
      class: "pw-muted",
      hidden: true,
      "aria-expanded": "false",
      "aria-controls": id,
      title: "Which rows, why, by whom and when",
      onclick: () => this.#unfold(this.whole.hidden),
    });
    this.node.append(this.#words);
    const dismiss = () => {
      this.#dismissed = this.#at;
      this.show(null, 0);
      leave();
    };
    this.whole = element(
      "div",
      { class: "pw-removed-whole", id, role: "group", "aria-label": "Rows that are gone", hidden: true },
      this.#text,
      element("button", { type: "button", title: "It goes from this page; others still see it", onclick: dismiss }, "Dismiss"),
    );
    for (const part of [this.node, this.whole])
      part.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || this.whole.hidden) return;
        event.stopPropagation();
        this.#unfold(false);
        this.#words.focus();
      });
  }

  /** `now` is on the clock of `told`, in milliseconds. */
  show(removed: (Removed & { told: number }) | null, now: number): void {
    const said = removed && removed.at !== this.#dismissed && now - removed.told < REMOVED_MS ? removed : null;
    this.#at = said?.at ?? this.#at;
    setText(this.#words, said ? words(said) : "");
    setText(this.#text, said ? whole(said) : "");
    this.#words.hidden = !said;
    if (!said) this.#unfold(false);
  }

  #unfold(open: boolean): void {
    this.whole.hidden = !open;
    this.#words.setAttribute("aria-expanded", String(open));
  }
}

/** Rows whose check looks at something else now have others in their place: nothing is missing. */
function replaced({ count, replaced = 0 }: Removed): boolean {
  return replaced === count;
}

function words(removed: Removed): string {
  const { count } = removed;
  return `${count.toLocaleString("en")} ${count === 1 ? "row" : "rows"} ${replaced(removed) ? "replaced" : "gone"}`;
}

function whole(removed: Removed): string {
  const { count, titles, reason, actor, at } = removed;
  const [rest, none] = [count - titles.length, titles.length === 0];
  const more = rest > 0 ? `${none ? "" : " and "}${rest.toLocaleString("en")} ${none ? "rows" : "more"}` : "";
  const verb = replaced(removed) ? (count === 1 ? "was replaced" : "were replaced") : count === 1 ? "is gone" : "are gone";
  return `${titles.join(", ")}${more} ${verb}: ${reason}${actor ? `, by ${actor}` : ""}, ${clock(at)}. ops.events() has all of them`;
}
