/** An xterm with the SandboxAddon of one @cloudflare/sandbox version, told what to do by JSON lines and telling what it shows by JSON lines. */
import { createInterface } from "node:readline";
import headless from "@xterm/headless";
import WebSocket from "ws";

const { module, host, path, reconnect } = JSON.parse(process.argv[2]);
const say = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

let socket;
// What the addon finds in a page. A browser sends a cookie where this socket sends a header.
globalThis.location = new URL(`http://${host}/`);
globalThis.WebSocket = class extends WebSocket {
  constructor(url) {
    super(url, { headers: { Authorization: `Bearer ${process.env.TOKEN}` } });
    socket = this;
    this.addEventListener("close", ({ code }) => say("close", { code }));
  }
};
const { SandboxAddon } = await import(module);

const terminal = new headless.Terminal({ allowProposedApi: true, cols: 80, rows: 24, scrollback: 1000 });
terminal.focus = () => {};
const shown = () => {
  const { active } = terminal.buffer;
  return Array.from({ length: active.length }, (_, y) => active.getLine(y).translateToString(true))
    .join("\n")
    .trimEnd();
};
terminal.onWriteParsed(() => say("screen", { text: shown() }));

const addon = new SandboxAddon({
  getWebSocketUrl: ({ origin, sessionId, terminalId, cursor }) => {
    const url = new URL(`${origin}${path}`);
    if (cursor) url.searchParams.set("cursor", cursor);
    say("url", { session: sessionId ?? terminalId, cursor: cursor ?? "" });
    return url.href;
  },
  onStateChange: (state, error) => say("state", { state, error: error?.message ?? "" }),
  reconnect,
});
terminal.loadAddon(addon);

const target = { sandboxId: "default", sessionId: "s1", terminalId: "s1" };
const commands = {
  connect: () => addon.connect(target),
  disconnect: () => addon.disconnect(),
  type: (keys) => terminal.input(keys),
  resize: ([cols, rows]) => terminal.resize(cols, rows),
  cut: () => socket.terminate(),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [[name, argument]] = Object.entries(JSON.parse(line));
  commands[name](argument);
}
addon.dispose();
