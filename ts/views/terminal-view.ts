/** An xterm in an element: what is on the screen, its size, its keys and its colours. Knows no network. */
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal } from "@xterm/xterm";
import type { Screen } from "../rooms/terminal-room.ts";
import { element } from "./element.ts";
import { ScreenFit } from "./screen-fit.ts";
import { terminalColours } from "./terminal-colours.ts";
import { dress, watchTheme } from "./theme.ts";
import { scrollByTouch } from "./touch.ts";
import { TouchKeys } from "./touch-keys.ts";
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

const SHOWN_ADDRESS = 300;
const CLIPBOARD_CHARACTERS = 128 * 1024;
const RESET = "\x1bc";
/** CAN: ends an unfinished escape sequence without running it. */
const CANCEL = Uint8Array.of(0x18);
/** Replies to device, cursor and colour queries, and focus reports: xterm makes them while it parses output. */
const ANSWER =
  /^(?:\x1b\[[?>=]?[\d;]*[cRnxtuy]|\x1b\[\?[\d;]*\$y|\x1b\[[IO]|\x1b\](?:4;\d+|1[0-2]);[^\x07\x1b]*(?:\x07|\x1b\\)|\x1bP[^\x1b]*\x1b\\)+$/;

export class TerminalView implements Screen {
  readonly node: HTMLElement;
  readonly terminal: Terminal;
  readonly search = new SearchAddon();
  /** The keys that a phone's keyboard has not. */
  readonly keys: TouchKeys;
  #fit: ScreenFit;
  #events: TerminalViewEvents;
  #options: TerminalViewOptions;
  #restoring = 0;
  #decoder = decoder();

  constructor(options: TerminalViewOptions, events: TerminalViewEvents, signal: AbortSignal) {
    this.#options = options;
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
    this.keys = new TouchKeys(this.terminal, () => events.unheard());
    this.#fit = new ScreenFit(this.terminal, this.node, options.fontSize, (size) => events.fit(size), signal);
    signal.addEventListener("abort", () => this.terminal.dispose());
    this.terminal.onData((text) => {
      const answer = ANSWER.test(text);
      // The questions in a restored screen are answered to nobody; a person who types while it is drawn is heard.
      if (!answer || this.#restoring === 0) events.input(new TextEncoder().encode(answer ? text : this.keys.typed(text)), answer);
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
    scrollByArrows(this.terminal, () => this.#fit.cell().height);
    this.terminal.parser.registerCsiHandler({ final: "n" }, ([question]) => question === 6 && this.#answerAtFifth());
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
    terminal.loadAddon(this.search);
    terminal.loadAddon(new Unicode11Addon());
    terminal.unicode.activeVersion = "11";
    terminal.loadAddon(new WebLinksAddon((_event, uri) => openLink(uri)));
    this.#accelerate();
    scrollByTouch(terminal, this.node, () => this.#fit.cell().height, signal);
    watchTheme(() => this.#recolour(), signal);
    this.#fit.open(this.#options.rows, signal);
  }

  /**
   * Where the cursor is, in column 5 of row 1. xterm would say it as `CSI 1;5R`, where BusyBox' shell, whose prompt ends there after `clear`,
   * looks for the keys that begin so, and takes what is typed next for the rest of one: up to ten letters were lost.
   */
  #answerAtFifth(): boolean {
    const { cursorX, cursorY } = this.terminal.buffer.active;
    if (cursorX !== 4 || cursorY !== 0) return false;
    this.terminal.input("\x1b[01;5R", false);
    return true;
  }

  #pointAt(uri: string): void {
    this.node.title = uri.length > SHOWN_ADDRESS ? `${uri.slice(0, SHOWN_ADDRESS)}…` : uri;
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.terminal.write(this.#decoder.decode(bytes, { stream: true }), done);
  }

  restore(size: { cols: number; rows: number }, bytes: Uint8Array, done: () => void): void {
    // Queued like output, so that what came before is drawn before it is wiped. Replies to queries inside a screen are nobody's.
    // CAN first: output may have been cut inside an escape sequence or a character, and a reset leaves xterm's parser where it is,
    // which would swallow a screen that begins with plain text.
    this.terminal.write(CANCEL, () => {
      this.#restoring++;
      this.#fit.resize(size);
    });
    this.#decoder = decoder();
    // The reset is in one piece with the screen, which xterm draws in one go: nobody sees the blank screen between.
    this.terminal.write(RESET + this.#decoder.decode(bytes, { stream: true }), () => {
      this.#restoring--;
      done();
    });
  }

  resize(size: { cols: number; rows: number }): void {
    this.terminal.write("", () => this.#fit.resize(size));
  }

  /** The size that would fill the element now. */
  fitted(): { cols: number; rows: number } | null {
    return this.#fit.fitted();
  }

  /** Asks for the size that fills the element, as if the layout had changed. */
  requestFit(): void {
    this.#fit.request();
  }

  setTyping(allowed: boolean): void {
    this.terminal.options.disableStdin = !allowed;
    this.terminal.options.cursorBlink = allowed && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.node.classList.toggle("pw-readonly", !allowed);
  }

  /** Larger by `step` CSS pixels; 0 goes back to the size of the start. */
  zoom(step: number): void {
    this.#fit.zoom(step);
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
    const colours = dress(root);
    this.terminal.options.theme = terminalColours(colours);
    this.terminal.options.minimumContrastRatio = colours.contrast ? 7 : 4.5;
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
}

/** Bytes that are no UTF-8 become U+FFFD, as in the room's emulator: xterm alone leaves them out, and who joins late would see another line. */
function decoder(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

/** The text that an OSC 52 would copy; "" for a question, for what is not text and for too much of it. The clipboard is never read. */
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
