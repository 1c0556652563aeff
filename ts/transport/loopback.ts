/** A kernel's own host on 127.0.0.1, or a remote host by its URL: another origin, so a ticket decides. */
import { TICKET_PREFIX } from "../protocol.ts";
import type { CommChannel } from "./channel.ts";
import { fetchHello, type Hello, partyAddress, type Transport } from "./transport.ts";

/** A browser socket to a host of another origin. */
export class LoopbackSocket extends WebSocket {}

export class LoopbackTransport implements Transport {
  readonly name: "loopback" | "remote";
  #root: string;
  #channel: CommChannel;
  #resume: string | null = null;

  constructor(name: "loopback" | "remote", root: string, channel: CommChannel) {
    this.name = name;
    this.#root = root;
    this.#channel = channel;
  }

  hello(timeoutMs: number, signal: AbortSignal): Promise<Hello> {
    return fetchHello(this.#root, "omit", timeoutMs, signal);
  }

  socket() {
    return { WebSocket: LoopbackSocket, ...partyAddress(this.#root), connectionTimeout: 6000 };
  }

  /** The room's resume ticket first, since it needs no kernel; then the pushed one; then one by request. Each is used once. */
  async protocols(dialect: string, retry: boolean): Promise<string[]> {
    const ticket = (retry ? null : (this.#takeResume() ?? this.#channel.pushedTicket())) ?? (await this.#channel.freshTicket());
    return [dialect, TICKET_PREFIX + ticket];
  }

  /** Kept until used: it stays good while the socket is open and for some time after, and a spent one costs one more attempt. */
  resume(ticket: string): void {
    this.#resume = ticket;
  }

  #takeResume(): string | null {
    const resume = this.#resume;
    this.#resume = null;
    return resume;
  }
}
