// The benchmark's room on the real PartyServer: every message goes to all others.
import { routePartykitRequest, Server, type Connection, type WSMessage } from "partyserver";

export class Fanout extends Server {
  onMessage(connection: Connection, message: WSMessage) {
    this.broadcast(message, [connection.id]);
  }
}

export class FanoutHibernating extends Server {
  static options = { hibernate: true };
  onMessage(connection: Connection, message: WSMessage) {
    this.broadcast(message, [connection.id]);
  }
}

export default {
  async fetch(request: Request, env: Record<string, never>) {
    return (await routePartykitRequest(request, env)) ?? new Response("not found", { status: 404 });
  },
};
