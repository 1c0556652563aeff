/** The Jupyter Server's extension: same origin, so the login cookie authenticates and no ticket is needed. */
import { fetchHello, type Hello, partyAddress, type Transport } from "./transport.ts";

/** A browser socket to the page's own server. */
export class ServerSocket extends WebSocket {}

export class ServerTransport implements Transport {
  readonly name = "server";
  #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  hello(timeoutMs: number, signal: AbortSignal): Promise<Hello> {
    return fetchHello(this.#root, "same-origin", timeoutMs, signal);
  }

  socket() {
    return { WebSocket: ServerSocket, ...partyAddress(this.#root), connectionTimeout: 6000 };
  }

  async protocols(dialect: string): Promise<string[]> {
    return [dialect];
  }

  resume(): void {}
}
