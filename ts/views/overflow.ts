/** What does not fit into a bar's one line goes into a panel below it, the least important first, and comes back when there is room. */
import { element } from "./element.ts";

export class Overflow {
  /** Opens the panel; shown only while there is something in it. */
  readonly button: HTMLButtonElement;
  readonly panel = element("div", { class: "pw-more", role: "group", "aria-label": "More of the bar", hidden: true });
  #bar: HTMLElement;
  /** The least important first. */
  #items: HTMLElement[];
  /** Where each stands in the bar. */
  #places = new Map<HTMLElement, Comment>();
  /** Those in the panel, in the order in which they left, with the width that they had. */
  #gone: { item: HTMLElement; width: number }[] = [];
  #frame = 0;

  constructor(bar: HTMLElement, button: HTMLButtonElement, items: HTMLElement[]) {
    this.#bar = bar;
    this.button = button;
    this.#items = items;
    for (const item of items) {
      const place = document.createComment("");
      item.before(place);
      this.#places.set(item, place);
    }
    button.hidden = true;
    button.addEventListener("click", () => this.#unfold(this.panel.hidden));
    this.#unfold(false);
    new ResizeObserver(() => this.soon()).observe(bar);
  }

  /** Looks again before the next painting: the bar's words or its width may be others. */
  soon(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.settle();
    });
  }

  settle(): void {
    const width = this.#bar.clientWidth;
    if (width === 0) return;
    const root = this.#bar.getRootNode() as Document | ShadowRoot;
    const focused = root.activeElement instanceof HTMLElement ? root.activeElement : null;
    this.#bar.classList.add("pw-measured");
    this.#shrink(width);
    for (let last = this.#gone.at(-1); last && this.#used() + last.width <= width; last = this.#gone.at(-1)) this.#back();
    this.#shrink(width);
    this.#bar.classList.remove("pw-measured");
    this.button.hidden = this.#gone.length === 0;
    if (this.button.hidden) this.#unfold(false);
    if (focused && root.activeElement !== focused && this.#places.has(focused)) {
      // A focus that went with its button is kept, or stands where the button can be found.
      if (this.panel.contains(focused) && this.panel.hidden) this.button.focus();
      else focused.focus();
    }
  }

  #shrink(width: number): void {
    while (this.#used() > width) {
      const item = this.#items.find((one) => one.parentElement === this.#bar);
      if (!item) return;
      this.button.hidden = false;
      this.#gone.push({ item, width: item.offsetWidth + this.#gap() });
      this.#sorted(item);
    }
  }

  /** Into the panel, in the order of the bar. */
  #sorted(item: HTMLElement): void {
    const order = [...this.#places.keys()].sort((a, b) =>
      this.#places.get(a)!.compareDocumentPosition(this.#places.get(b)!) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1,
    );
    const after = order.slice(order.indexOf(item) + 1).find((other) => other.parentElement === this.panel);
    this.panel.insertBefore(item, after ?? null);
  }

  #back(): void {
    const { item } = this.#gone.pop()!;
    this.#places.get(item)!.after(item);
  }

  /** The width of the line, were none of its parts to shrink. */
  #used(): number {
    const shown = [...this.#bar.children].filter((child) => child.getClientRects().length > 0);
    const { paddingLeft, paddingRight } = getComputedStyle(this.#bar);
    const parts = shown.reduce((sum, child) => sum + child.getBoundingClientRect().width, 0);
    return Math.ceil(parts + this.#gap() * (shown.length - 1) + Number.parseFloat(paddingLeft) + Number.parseFloat(paddingRight));
  }

  #gap(): number {
    return Number.parseFloat(getComputedStyle(this.#bar).columnGap) || 0;
  }

  #unfold(open: boolean): void {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
  }
}
