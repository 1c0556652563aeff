// Node's `ws`: every message goes to all others. Prints "ready PORT".
import { WebSocketServer } from "ws";
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false }, () => console.log(`ready ${server.address().port}`));
server.on("connection", (socket) =>
  socket.on("message", (data, binary) => {
    for (const client of server.clients) if (client !== socket && client.readyState === 1) client.send(data, { binary });
  }),
);
