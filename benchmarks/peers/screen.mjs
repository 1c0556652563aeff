/** screen.mjs COLUMNS ROWS DRAWING WHOLE: does a terminal given DRAWING show the newest rows of one given WHOLE? Prints one JSON line. */
import { readFileSync } from "node:fs";
import headless from "@xterm/headless";

const [columns, rows, ...files] = process.argv.slice(2);

async function shown(file) {
  const terminal = new headless.Terminal({ allowProposedApi: true, cols: Number(columns), rows: Number(rows), scrollback: 20_000 });
  await new Promise((done) => terminal.write(readFileSync(file), done));
  const { active } = terminal.buffer;
  const lines = [];
  for (let y = 0; y < active.length; y++) {
    const line = active.getLine(y);
    const cells = [];
    for (let x = 0; x < line.length; x++) {
      const cell = line.getCell(x);
      cells.push(`${cell.getChars() || " "}${cell.isAttributeDefault() ? "" : "*"}`);
    }
    lines.push(cells.join(""));
  }
  return { lines, cursor: [active.cursorX, active.cursorY], buffer: active.type };
}

const [late, whole] = [await shown(files[0]), await shown(files[1])];
const wanted = whole.lines.slice(-late.lines.length);
const differing = late.lines.findIndex((line, y) => line !== wanted[y]);
const exact = differing === -1 && String(late.cursor) === String(whole.cursor) && late.buffer === whole.buffer;
process.stdout.write(`${JSON.stringify({ exact, rows: late.lines.length, differing })}\n`);
