// One npm PartySocket, told what to do by JSON lines on stdin and telling what happens by JSON lines on stdout.
// The credential comes in the environment and is used as a browser would: a ticket for each attempt, in `query` or as a subprotocol.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const { module, origin, ticketAs, ticket, ...options } = JSON.parse(process.argv[2]);
const { PartySocket } = await import(module);
const lobby = { party: options.party, room: options.room };
const say = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

async function freshTicket() {
  const answer = await fetch(`${origin}/tickets`, {
    method: "POST",
    headers: { Authorization: `Bearer ${process.env.TOKEN}`, "Content-Type": "application/json" },
    body: JSON.stringify(lobby),
  });
  if (!answer.ok) throw new Error(`no ticket: HTTP ${answer.status}`);
  say("ticket");
  return (await answer.json()).ticket;
}

const given = options.query ?? {};
if (ticketAs === "query") options.query = async () => ({ ...given, ticket: ticket ?? (await freshTicket()) });
if (ticketAs === "protocol") {
  options.protocols = async () => ["partywidgets.v1", `partywidgets.ticket.${ticket ?? (await freshTicket())}`];
}

const socket = new PartySocket({ ...options, WebSocket });
socket.binaryType = "arraybuffer";
socket.addEventListener("open", () => say("open", { id: socket.id, protocol: socket.protocol }));
socket.addEventListener("message", ({ data }) => {
  const binary = typeof data !== "string";
  say("message", { binary, data: binary ? Buffer.from(data).toString("hex") : data });
});
socket.addEventListener("close", ({ code, reason }) => say("close", { code, reason }));
socket.addEventListener("error", ({ message }) => say("error", { message: String(message) }));

const commands = {
  send: (text) => socket.send(text),
  sendBinary: (hex) => socket.send(Uint8Array.from(Buffer.from(hex, "hex"))),
  close: ([code, reason]) => socket.close(code, reason),
  reconnect: () => socket.reconnect(),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [[name, argument]] = Object.entries(JSON.parse(line));
  commands[name](argument);
}
socket.close();
