/** Reads one JSON line a question, feeds an xterm with its steps, and writes the cells as one JSON line: what a browser would show. */
import { createInterface } from "node:readline";
import unicode from "@xterm/addon-unicode11";
import headless from "@xterm/headless";

const MODES = [
  "applicationCursorKeysMode",
  "applicationKeypadMode",
  "bracketedPasteMode",
  "insertMode",
  "mouseTrackingMode",
  "originMode",
  "reverseWraparoundMode",
  "sendFocusMode",
  "wraparoundMode",
];
const FLAGS = ["isBold", "isItalic", "isDim", "isUnderline", "isBlink", "isInverse", "isInvisible", "isStrikethrough", "isOverline"];
const UNSEEN_IN_BLANKS = new Set(["isBold", "isItalic", "isDim", "isBlink", "isInvisible"]);

const [P16, P256] = [0x1000000, 0x2000000];

/** `CSI 34 m` and `CSI 38;5;4 m` are one colour: xterm.js paints both from the same palette, bold ones brighter in both. */
const paletteMode = (mode) => (mode === P16 ? P256 : mode);

function rowsOf(buffer, cols, last, uriOf) {
  const rows = [];
  for (let y = last ? Math.max(0, buffer.length - last) : 0; y < buffer.length; y++) {
    const line = buffer.getLine(y);
    const cells = [];
    for (let x = 0; x < cols; x++) {
      const cell = line.getCell(x);
      const colour = [paletteMode(cell.getFgColorMode()), cell.getFgColor(), paletteMode(cell.getBgColorMode()), cell.getBgColor()];
      // A cell that was never written and a space look alike, and of a blank one sees the background and the lines through it alone.
      const chars = cell.getChars() || (cell.getWidth() ? " " : "");
      const seen = FLAGS.filter((name) => cell[name]() && !(chars === " " && UNSEEN_IN_BLANKS.has(name)));
      if (chars === " " && seen.length === 0) colour.splice(0, 2, 0, -1);
      cells.push([chars, cell.getWidth(), ...colour, seen.join(), uriOf(cell.extended.urlId)]);
    }
    rows.push(cells);
  }
  return rows;
}

/** `last`: so many rows of each buffer, from its end; 0 for all. */
async function answer({ cols, rows, steps, last }) {
  const terminal = new headless.Terminal({ allowProposedApi: true, cols, rows, scrollback: 10_000 });
  terminal.loadAddon(new unicode.Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  // As the page does: what is no UTF-8 becomes U+FFFD.
  const answers = [];
  terminal.onData((text) => answers.push(text));
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const step of steps) {
    if (typeof step === "string") {
      const text = decoder.decode(Buffer.from(step, "base64"), { stream: true });
      await new Promise((done) => terminal.write(text, done));
    } else terminal.resize(...step);
  }
  const { active, normal, alternate } = terminal.buffer;
  // xterm tells its renderer alone of links.
  const uriOf = (id) => (id ? terminal._core._oscLinkService.getLinkData(id).uri : "");
  const seen = {
    active: active.type,
    cursor: [active.cursorX, active.cursorY],
    modes: Object.fromEntries(MODES.map((name) => [name, terminal.modes[name]])),
    answers,
    cursorHidden: terminal._core.coreService.isCursorHidden,
    normal: rowsOf(normal, terminal.cols, last, uriOf),
    alternate: active.type === "alternate" ? rowsOf(alternate, terminal.cols, last, uriOf) : [],
  };
  terminal.dispose();
  return seen;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
