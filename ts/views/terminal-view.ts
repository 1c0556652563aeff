/** An xterm in an element: what is on the screen, its size, its keys and its colours. Knows no network. */
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { type ITheme, Terminal } from "@xterm/xterm";
import type { Screen } from "../rooms/terminal-room.ts";
import { element } from "./element.ts";
import { contrast as contrastRatio, dress, standingOut, watchTheme } from "./theme.ts";
import { scrollByTouch } from "./touch.ts";
import { scrollByArrows } from "./wheel.ts";

export interface TerminalViewOptions {
  fontSize: number;
  rows: number;
  scrollback: number;
  screenReader: boolean;
  /** Ctrl+V pastes, as in JupyterLab's terminal; otherwise it goes to the shell and Ctrl+Shift+V pastes. */
  pasteWithCtrlV: boolean;
}

export interface TerminalViewEvents {
  /** What was typed or pasted. `answer`: xterm's own reply to a query of the program, not a person's. */
  input(keys: Uint8Array, answer: boolean): void;
  /** A key was pressed while nobody may type here: it goes nowhere. */
  unheard(): void;
  /** The element would take this size. True when the PTY has it or will get it; otherwise the screen is scaled to the element. */
  fit(size: { cols: number; rows: number }): boolean;
  /** The person left by the keyboard. */
  escape(): void;
  /** The person wants to search by the keyboard. */
  find(): void;
  title(title: string): void;
  /** A program would put this text onto the clipboard (OSC 52): nothing happens unless the person agrees. */
  clipboard(text: string): void;
}

interface Core {
  _renderService?: { dimensions: { css: { cell: { width: number; height: number } } } };
}

const SHOWN_ADDRESS = 300;
const MIN_COLS = 20;
const MIN_ROWS = 5;
const SMALLEST_FONT = 7;
const LARGEST_FONT = 40;
const CLIPBOARD_CHARACTERS = 128 * 1024;
const FIT_DELAY_MS = 100;
const ANSWER_MS = 600;
/** CAN: ends an unfinished escape sequence without running it. */
const CANCEL = Uint8Array.of(0x18);
/** Pixels of the element that are not screen: padding and scroll bar, and the padding above and below. */
const SIDE = 19;
const EDGE = 8;

/** Replies to device, cursor and colour queries, and focus reports: xterm makes them while it parses output. */
const ANSWER =
  /^(?:\x1b\[[?>=]?[\d;]*[cRnxtuy]|\x1b\[\?[\d;]*\$y|\x1b\[[IO]|\x1b\](?:4;\d+|1[0-2]);[^\x07\x1b]*(?:\x07|\x1b\\)|\x1bP[^\x1b]*\x1b\\)+$/;

const DARK: ITheme = {
  black: "#2e3436",
  red: "#f2777a",
  green: "#7fc98b",
  yellow: "#e5c07b",
  blue: "#7aa6da",
  magenta: "#c397d8",
  cyan: "#70c0b1",
  white: "#d3d7cf",
  brightBlack: "#8a8f98",
  brightRed: "#ff8f8f",
  brightGreen: "#a5e0ae",
  brightYellow: "#ffe08a",
  brightBlue: "#a3c7f0",
  brightMagenta: "#dcb8f0",
  brightCyan: "#9be3d6",
  brightWhite: "#ffffff",
};
const LIGHT: ITheme = {
  black: "#1f2328",
  red: "#b3261e",
  green: "#1b6e2e",
  yellow: "#7a5200",
  blue: "#0b57b0",
  magenta: "#7b3fa0",
  cyan: "#0f6d75",
  white: "#6e7781",
  brightBlack: "#57606a",
  brightRed: "#c93a31",
  brightGreen: "#2c7d3d",
  brightYellow: "#8a6300",
  brightBlue: "#2a6fc9",
  brightMagenta: "#9150b8",
  brightCyan: "#207f88",
  brightWhite: "#424a53",
};

export class TerminalView implements Screen {
  readonly node: HTMLElement;
  readonly terminal: Terminal;
  readonly search = new SearchAddon();
  #fit = new FitAddon();
  #events: TerminalViewEvents;
  #options: TerminalViewOptions;
  #startSize: number;
  #restoring = 0;
  #decoder = decoder();
  #fitWanted = false;
  #layout = "";
  #fullCell: { width: number; height: number } | null = null;
  #fitTimer: ReturnType<typeof setTimeout> | undefined;
  #scaleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: TerminalViewOptions, events: TerminalViewEvents, signal: AbortSignal) {
    this.#options = options;
    this.#startSize = options.fontSize;
    this.#events = events;
    this.node = element("div", { class: "pw-screen" });
    this.terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: false,
      fontSize: options.fontSize,
      fontFamily: "monospace",
      minimumContrastRatio: 4.5,
      scrollback: options.scrollback,
      screenReaderMode: options.screenReader,
      disableStdin: true,
      rows: options.rows,
      cols: 80,
      macOptionIsMeta: true,
      linkHandler: {
        activate: (_event, uri) => openLink(uri),
        // A program's link may say one address and lead to another: the pointer shows where to.
        hover: (_event, uri) => this.#pointAt(uri),
        leave: () => this.#pointAt(""),
        allowNonHttpProtocols: false,
      },
    });
    signal.addEventListener("abort", () => this.#dispose());
    this.terminal.onData((text) => {
      const answer = ANSWER.test(text);
      // The questions in a restored screen are answered to nobody; a person who types while it is drawn is heard.
      if (!answer || this.#restoring === 0) events.input(new TextEncoder().encode(text), answer);
    });
    // A place of the mouse as programs of old ask for it: each character is a byte.
    this.terminal.onBinary((bytes) =>
      events.input(
        Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)),
        false,
      ),
    );
    this.terminal.onKey(() => this.terminal.options.disableStdin && events.unheard());
    this.terminal.onTitleChange((title) => events.title(title.slice(0, 200)));
    this.terminal.attachCustomKeyEventHandler((event) => this.#key(event));
    scrollByArrows(this.terminal, () => this.#cell().height);
    this.terminal.parser.registerOscHandler(52, (request) => {
      const text = this.#restoring === 0 ? clipboardText(request) : "";
      if (text) events.clipboard(text);
      return true;
    });
  }

  /** Puts xterm into the page; the node must be connected, since it measures its font there. */
  open(signal: AbortSignal): void {
    const terminal = this.terminal;
    this.#recolour();
    terminal.open(this.node);
    terminal.loadAddon(this.#fit);
    terminal.loadAddon(this.search);
    terminal.loadAddon(new Unicode11Addon());
    terminal.unicode.activeVersion = "11";
    terminal.loadAddon(new WebLinksAddon((_event, uri) => openLink(uri)));
    this.#accelerate();
    scrollByTouch(terminal, this.node, () => this.#cell().height, signal);
    watchTheme(() => this.#recolour(), signal);
    const observer = new ResizeObserver(() => this.#laidOut());
    observer.observe(this.node);
    signal.addEventListener("abort", () => observer.disconnect());
    this.node.style.height = `${Math.ceil(this.#cell().height * this.#options.rows)}px`;
    this.#scale();
  }

  #pointAt(uri: string): void {
    this.node.title = uri.length > SHOWN_ADDRESS ? `${uri.slice(0, SHOWN_ADDRESS)}…` : uri;
  }

  /** The size that would fill the element now. */
  fitted(): { cols: number; rows: number } | null {
    const font = this.terminal.options.fontSize;
    if (font !== this.#options.fontSize) this.terminal.options.fontSize = this.#options.fontSize;
    const proposed = this.#fit.proposeDimensions();
    if (font !== this.#options.fontSize) this.terminal.options.fontSize = font!;
    if (!proposed || !Number.isFinite(proposed.cols) || !Number.isFinite(proposed.rows)) return null;
    return { cols: Math.max(MIN_COLS, proposed.cols), rows: Math.max(MIN_ROWS, proposed.rows) };
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.terminal.write(this.#decoder.decode(bytes, { stream: true }), done);
  }

  restore(size: { cols: number; rows: number }, bytes: Uint8Array, done: () => void): void {
    // Queued like output, so that what came before is drawn before it is wiped. Replies to queries inside a screen are nobody's.
    // CAN first: output may have been cut inside an escape sequence or a character, and xterm's reset leaves its parser where it is,
    // which would swallow a screen that begins with plain text.
    this.terminal.write(CANCEL, () => {
      this.#restoring++;
      this.terminal.reset();
      this.#apply(size);
    });
    this.#decoder = decoder();
    this.terminal.write(this.#decoder.decode(bytes, { stream: true }), () => {
      this.#restoring--;
      done();
    });
  }

  resize(size: { cols: number; rows: number }): void {
    this.terminal.write("", () => this.#apply(size));
  }

  /** Asks for the size that fills the element, as if the layout had changed. */
  requestFit(): void {
    this.#fitWanted = true;
    this.#fitSoon(0);
  }

  setTyping(allowed: boolean): void {
    this.terminal.options.disableStdin = !allowed;
    this.terminal.options.cursorBlink = allowed && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.node.classList.toggle("pw-readonly", !allowed);
  }

  /** Larger by `step` CSS pixels; 0 goes back to the size of the start. */
  zoom(step: number): void {
    const size = step === 0 ? this.#startSize : this.#options.fontSize + step;
    this.#options = { ...this.#options, fontSize: Math.min(LARGEST_FONT, Math.max(SMALLEST_FONT, size)) };
    this.#fullCell = null;
    this.terminal.options.fontSize = this.#options.fontSize;
    this.requestFit();
  }

  setScreenReader(on: boolean): void {
    this.terminal.options.screenReaderMode = on;
  }

  /** The visible screen and the scrollback as text, without trailing blanks. */
  text(): string {
    const buffer = this.terminal.buffer.active;
    const lines: string[] = [];
    for (let row = 0; row < buffer.length; row++) {
      const line = buffer.getLine(row);
      if (!line) continue;
      const text = line.translateToString(true);
      if (line.isWrapped && lines.length > 0) lines[lines.length - 1] += text;
      else lines.push(text);
    }
    return `${lines.join("\n").trimEnd()}\n`;
  }

  #apply({ cols, rows }: { cols: number; rows: number }): void {
    if (cols > 0 && rows > 0 && (cols !== this.terminal.cols || rows !== this.terminal.rows)) this.terminal.resize(cols, rows);
    this.#scale();
  }

  /** The font shrinks until the whole screen fits the element; below the smallest readable one the element scrolls. */
  #scale(): void {
    clearTimeout(this.#scaleTimer);
    const full = this.#options.fontSize;
    // Cells are rounded to whole pixels, so the ratio is always taken from the full size: from the present one it would drift.
    if (this.terminal.options.fontSize === full) this.#fullCell = this.#cell();
    const { width: cellWidth, height: cellHeight } = this.#fullCell ?? this.#cell();
    const [width, height] = [this.node.clientWidth - SIDE, this.node.clientHeight - EDGE];
    if (width <= 0 || height <= 0) return;
    const ratio = Math.min(1, width / (cellWidth * this.terminal.cols), (height + 1) / (cellHeight * this.terminal.rows));
    const wanted = Math.max(SMALLEST_FONT, Math.floor(full * ratio * 2) / 2);
    if (wanted !== this.terminal.options.fontSize) this.terminal.options.fontSize = wanted;
  }

  /** A cell in CSS pixels. xterm keeps it to itself; its own fit addon reads it at the same place. */
  #cell(): { width: number; height: number } {
    const core = (this.terminal as unknown as { _core?: Core })._core;
    const cell = core?._renderService?.dimensions.css.cell;
    // xterm changes its object in place: what is kept must be a copy.
    return cell && cell.width > 0
      ? { width: cell.width, height: cell.height }
      : { width: this.#options.fontSize * 0.6, height: this.#options.fontSize * 1.15 };
  }

  /** Coming into view is no wish for another size: only a layout that changes under the person's eyes is. */
  #laidOut(): void {
    const { clientWidth, clientHeight } = this.node;
    if (clientWidth === 0) return;
    const layout = `${clientWidth}x${clientHeight}`;
    if (layout === this.#layout) return;
    if (this.#layout !== "" || this.#fitWanted) this.#fitSoon();
    else this.#scale();
    this.#layout = layout;
  }

  #fitSoon(delay = FIT_DELAY_MS): void {
    clearTimeout(this.#fitTimer);
    this.#fitTimer = setTimeout(() => {
      if (this.node.clientWidth === 0) return;
      this.#fitWanted = false;
      const size = this.fitted();
      if (!size || !this.#events.fit(size)) this.#scale();
      // The room's answer resizes the screen; should none come, it is scaled after all.
      else this.#scaleTimer = setTimeout(() => this.#scale(), ANSWER_MS);
    }, delay);
  }

  #key(event: KeyboardEvent): boolean {
    if (event.type !== "keydown") return true;
    const { key, ctrlKey, shiftKey, altKey, metaKey } = event;
    if ((key === "Escape" && ctrlKey && shiftKey) || (key === "F6" && ctrlKey)) {
      event.preventDefault();
      this.#events.escape();
      return false;
    }
    if (key === "F" && ctrlKey && shiftKey && !altKey && !metaKey) {
      event.preventDefault();
      this.#events.find();
      return false;
    }
    if (ctrlKey && altKey && !metaKey && ["+", "=", "-", "0"].includes(key)) {
      event.preventDefault();
      this.zoom(key === "0" ? 0 : key === "-" ? -1 : 1);
      return false;
    }
    if (!ctrlKey || altKey || metaKey) return true;
    if (key === "c" && !shiftKey && this.terminal.hasSelection()) return false;
    if (key.toLowerCase() === "v" && (shiftKey || this.#options.pasteWithCtrlV)) return false;
    if (key === "C" && shiftKey && this.terminal.hasSelection()) {
      event.preventDefault();
      void navigator.clipboard?.writeText(this.terminal.getSelection());
      return false;
    }
    return true;
  }

  #recolour(): void {
    if (!this.node.isConnected) return;
    const root = this.node.closest<HTMLElement>(".pw");
    if (!root) return;
    const { dark, background, foreground, accent, contrast, selection, selectedText } = dress(root);
    this.terminal.options.theme = {
      ...(dark ? DARK : LIGHT),
      background,
      foreground,
      cursor: foreground,
      cursorAccent: background,
      // At least 3:1 on the background (WCAG 1.4.11), whatever the theme; the text on it is kept readable by its own contrast.
      selectionBackground: standingOut(contrastRatio(accent, background) >= 3 ? accent : foreground, background),
      selectionInactiveBackground: standingOut(foreground, background),
      scrollbarSliderBackground: dark ? "#ffffff66" : "#00000080",
      scrollbarSliderHoverBackground: dark ? "#ffffff90" : "#000000a0",
      scrollbarSliderActiveBackground: accent,
      ...(contrast && {
        selectionBackground: selection,
        selectionInactiveBackground: selection,
        selectionForeground: selectedText,
        scrollbarSliderBackground: foreground,
        scrollbarSliderHoverBackground: accent,
      }),
      overviewRulerBorder: background,
    };
    this.terminal.options.minimumContrastRatio = contrast ? 7 : 4.5;
    this.terminal.options.fontFamily = getComputedStyle(root).getPropertyValue("--pw-mono").trim() || "monospace";
  }

  /** WebGL where the page has a context to spare; the DOM renderer otherwise, and again when the context is lost. */
  #accelerate(): void {
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.terminal.loadAddon(webgl);
    } catch (error) {
      console.debug("partywidgets: no WebGL, the DOM renderer draws", error);
    }
  }

  #dispose(): void {
    clearTimeout(this.#fitTimer);
    clearTimeout(this.#scaleTimer);
    this.terminal.dispose();
  }
}

/** Bytes that are no UTF-8 become U+FFFD, as in the room's emulator: xterm alone leaves them out, and who joins late would see another line. */
function decoder(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

/** The text that an OSC 52 would copy; "" for a question, for what is no text and for too much of it. The clipboard is never read. */
export function clipboardText(request: string): string {
  const content = request.slice(request.indexOf(";") + 1);
  if (content === "?" || content.length > CLIPBOARD_CHARACTERS) return "";
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)));
  } catch {
    return "";
  }
}

/** Only web links, in a tab that knows nothing of this one. */
function openLink(uri: string): void {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    return;
  }
  if (url.protocol === "http:" || url.protocol === "https:") window.open(url.href, "_blank", "noopener,noreferrer");
}
