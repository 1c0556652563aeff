/** A terminal's screen in its element: the size that fills it, and the font at which another size fits into it. */
import { FitAddon } from "@xterm/addon-fit";
import type { Terminal } from "@xterm/xterm";

export interface Cells {
  cols: number;
  rows: number;
}

interface Core {
  _renderService?: { dimensions: { css: { cell: { width: number; height: number } } } };
}

const MIN_COLS = 20;
const MIN_ROWS = 5;
const SMALLEST_FONT = 7;
const LARGEST_FONT = 40;
const FIT_DELAY_MS = 100;
/** How long a size that was asked for may take to come. */
const ANSWER_MS = 600;
/** Pixels of the element that are not screen: padding and scroll bar, and the padding above and below. */
const SIDE = 19;
const EDGE = 8;

export class ScreenFit {
  #terminal: Terminal;
  #node: HTMLElement;
  #ask: (size: Cells) => boolean;
  #addon = new FitAddon();
  #startSize: number;
  /** The font's size in CSS pixels that the person wants; the screen's is smaller where it has to be. */
  #fontSize: number;
  #wanted = false;
  #layout = "";
  /** A cell at the wanted font size. */
  #fullCell: { width: number; height: number } | null = null;
  #fitTimer: ReturnType<typeof setTimeout> | undefined;
  #scaleTimer: ReturnType<typeof setTimeout> | undefined;

  /** `ask` is given the size that fills the element. True when the PTY has it or will get it; otherwise the screen is scaled. */
  constructor(terminal: Terminal, node: HTMLElement, fontSize: number, ask: (size: Cells) => boolean, signal: AbortSignal) {
    this.#terminal = terminal;
    this.#node = node;
    this.#startSize = this.#fontSize = fontSize;
    this.#ask = ask;
    signal.addEventListener("abort", () => {
      clearTimeout(this.#fitTimer);
      clearTimeout(this.#scaleTimer);
    });
  }

  /** The terminal is in the page: its element becomes `rows` high, and is watched from now on. */
  open(rows: number, signal: AbortSignal): void {
    this.#terminal.loadAddon(this.#addon);
    const observer = new ResizeObserver(() => this.#laidOut());
    observer.observe(this.#node);
    signal.addEventListener("abort", () => observer.disconnect());
    this.#node.style.height = `${Math.ceil(this.cell().height * rows)}px`;
    this.#scale();
  }

  /** The size that would fill the element now. */
  fitted(): Cells | null {
    const font = this.#terminal.options.fontSize;
    if (font !== this.#fontSize) this.#terminal.options.fontSize = this.#fontSize;
    const proposed = this.#addon.proposeDimensions();
    if (font !== this.#fontSize) this.#terminal.options.fontSize = font!;
    if (!proposed || !Number.isFinite(proposed.cols) || !Number.isFinite(proposed.rows)) return null;
    return { cols: Math.max(MIN_COLS, proposed.cols), rows: Math.max(MIN_ROWS, proposed.rows) };
  }

  /** Asks for the size that fills the element, as if the layout had changed. */
  request(): void {
    this.#wanted = true;
    this.#fitSoon(0);
  }

  /** Larger by `step` CSS pixels; 0 goes back to the size of the start. */
  zoom(step: number): void {
    const size = step === 0 ? this.#startSize : this.#fontSize + step;
    this.#fontSize = Math.min(LARGEST_FONT, Math.max(SMALLEST_FONT, size));
    this.#fullCell = null;
    this.#terminal.options.fontSize = this.#fontSize;
    this.request();
  }

  /** The PTY has this size. */
  resize({ cols, rows }: Cells): void {
    if (cols > 0 && rows > 0 && (cols !== this.#terminal.cols || rows !== this.#terminal.rows)) this.#terminal.resize(cols, rows);
    this.#scale();
  }

  /** A cell in CSS pixels. xterm keeps it to itself; its own fit addon reads it at the same place. */
  cell(): { width: number; height: number } {
    const core = (this.#terminal as unknown as { _core?: Core })._core;
    const cell = core?._renderService?.dimensions.css.cell;
    // xterm changes its object in place: what is kept must be a copy.
    return cell && cell.width > 0
      ? { width: cell.width, height: cell.height }
      : { width: this.#fontSize * 0.6, height: this.#fontSize * 1.15 };
  }

  /** The font shrinks until the whole screen fits the element; below the smallest readable one the element scrolls. */
  #scale(): void {
    clearTimeout(this.#scaleTimer);
    // Cells are rounded to whole pixels, so the ratio is always taken from the full size: from the present one it would drift.
    if (this.#terminal.options.fontSize === this.#fontSize) this.#fullCell = this.cell();
    const { width: cellWidth, height: cellHeight } = this.#fullCell ?? this.cell();
    const [width, height] = [this.#node.clientWidth - SIDE, this.#node.clientHeight - EDGE];
    if (width <= 0 || height <= 0) return;
    const ratio = Math.min(1, width / (cellWidth * this.#terminal.cols), (height + 1) / (cellHeight * this.#terminal.rows));
    const wanted = Math.max(SMALLEST_FONT, Math.floor(this.#fontSize * ratio * 2) / 2);
    if (wanted !== this.#terminal.options.fontSize) this.#terminal.options.fontSize = wanted;
  }

  /** Coming into view is not a wish for another size: only a layout that changes under the person's eyes is. */
  #laidOut(): void {
    const { clientWidth, clientHeight } = this.#node;
    if (clientWidth === 0) return;
    const layout = `${clientWidth}x${clientHeight}`;
    if (layout === this.#layout) return;
    if (this.#layout !== "" || this.#wanted) this.#fitSoon();
    else this.#scale();
    this.#layout = layout;
  }

  #fitSoon(delay = FIT_DELAY_MS): void {
    clearTimeout(this.#fitTimer);
    this.#fitTimer = setTimeout(() => {
      if (this.#node.clientWidth === 0) return;
      this.#wanted = false;
      const size = this.fitted();
      if (!size || !this.#ask(size)) this.#scale();
      // The room's answer resizes the screen; should none come, it is scaled after all.
      else this.#scaleTimer = setTimeout(() => this.#scale(), ANSWER_MS);
    }, delay);
  }
}
