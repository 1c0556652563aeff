// The client of PartyKit's guide, with the real npm package: joins `main` and prints each message as a line of JSON.
// Arguments: the host's root URL, the bearer token, the package to use.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [root, token, name] = process.argv.slice(2);
const require = createRequire(new URL("../../ts/package.json", import.meta.url));
const { PartySocket } = await import(pathToFileURL(require.resolve(name)));
const WebSocket = require("ws");

const socket = new PartySocket({
  host: new URL(root).host,
  room: "main",
  party: "ops-monitor-broadcast",
  WebSocket,
  minReconnectionDelay: 50,
  maxReconnectionDelay: 200,
  query: async () => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const body = JSON.stringify({ party: "ops-monitor-broadcast", room: "main" });
    const answer = await fetch(`${root}tickets`, { method: "POST", headers, body });
    return { ticket: (await answer.json()).ticket };
  },
});
socket.addEventListener("message", (event) => {
  const data = JSON.parse(event.data);
  console.log(JSON.stringify({ type: data.type, data: data.type === "scan-result" ? data.data : null }));
});
socket.addEventListener("close", (event) => console.log(JSON.stringify({ type: "close", data: event.code })));
