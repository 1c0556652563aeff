/** The last state that was saved with the notebook, as text, until the room is live. */
import type { WidgetModel } from "../model.ts";
import { element } from "./element.ts";
import { clock } from "./status.ts";

export class Still {
  readonly node: HTMLElement;
  #root: HTMLElement | null = null;

  constructor(model: WidgetModel) {
    const snapshot = model.get("_snapshot") as { text?: unknown; at?: unknown } | null | undefined;
    const text = typeof snapshot?.text === "string" ? snapshot.text : "";
    const at = typeof snapshot?.at === "string" ? snapshot.at : "";
    this.node = element(
      "div",
      { class: "pw-still", hidden: text === "" },
      element("div", { class: "pw-muted pw-still-note" }, `As it was ${at ? `at ${clock(at)}` : "last"}, not live`),
      element("pre", { tabindex: 0 }, text),
    );
  }

  /** Shows it in place of what is live in `root`; nothing happens when nothing was saved. */
  cover(root: HTMLElement): void {
    if (this.node.hidden) return;
    this.#root = root;
    root.classList.add("pw-waiting");
  }

  /** The room is live: never shown again. */
  end(): void {
    this.node.remove();
    this.#root?.classList.remove("pw-waiting");
  }
}
