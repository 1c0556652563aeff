// npm PartySockets made resumable by the built resume.js. Each notes the numbers that came as runs, and what it was told of its gaps.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const { module, bundle, clients, quiet, ...options } = JSON.parse(process.argv[2]);
const { PartySocket } = await import(module);
const { resumable } = await import(bundle);
const say = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

const notes = Array.from({ length: clients }, () => []);
const sockets = notes.map((seen, client) => {
  const socket = new PartySocket(
    resumable({
      ...options,
      WebSocket,
      onResumed({ recovered }) {
        seen.push({ recovered });
        if (!quiet) say("resumed", { client, recovered });
      },
    }),
  );
  socket.addEventListener("open", () => quiet || say("open", { client, url: socket.url }));
  socket.addEventListener("close", ({ code, reason }) => quiet || say("close", { client, code, reason }));
  socket.addEventListener("message", ({ data }) => {
    if (data === "end") return say("end", { client });
    const number = Number(data);
    const run = seen.at(-1);
    if (run?.to === number - 1) run.to = number;
    else seen.push({ from: number, to: number });
  });
  return socket;
});

for await (const line of createInterface({ input: process.stdin })) {
  const [[name]] = Object.entries(JSON.parse(line));
  if (name === "report") say("report", { notes });
}
for (const socket of sockets) socket.close();
process.exit();
