/** What a way to a host offers to `open.ts`. */
import type { TransportName } from "./endpoint.ts";
import { xsrfHeader } from "./xsrf.ts";

export interface Hello {
  host_id: string;
  version?: string;
}

/** The host answered, and the answer is no: this page never tries another way. */
export class Refused extends Error {}

/** Somebody else answers and sends the page away, as a Hub does in the place of a server that it stopped. */
export class SentElsewhere extends Refused {}

export interface Transport {
  name: TransportName;
  /** Asks who is there. Rejects with Refused, or with anything else when nobody answers within `timeoutMs`. */
  hello(timeoutMs: number, signal: AbortSignal): Promise<Hello>;
  /** What PartySocket needs to build its URL and its socket. */
  socket(): { WebSocket: typeof WebSocket; host: string; protocol: "ws" | "wss"; prefix: string; connectionTimeout: number };
  /** The subprotocols of the next attempt: the dialect, and a ticket where one is needed. `retry`: the last ticket was refused. */
  protocols(dialect: string, retry: boolean): Promise<string[]>;
  /** A resume ticket that the room sent. */
  resume(ticket: string): void;
}

/** `GET hello` below a root. */
export async function fetchHello(root: string, credentials: RequestCredentials, timeoutMs: number, signal: AbortSignal): Promise<Hello> {
  const response = await fetch(`${root}hello`, {
    credentials,
    redirect: "manual",
    cache: "no-store",
    headers: { Accept: "application/json", ...(credentials === "same-origin" ? xsrfHeader() : {}) },
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  // The Hub answers so in the place of a server that it does not run, and Jupyter's login form to an older version of us.
  if (response.type === "opaqueredirect")
    throw new SentElsewhere("This server was stopped, or your login has ended: open Jupyter again, then reload this page");
  if (response.status === 401 || response.status === 403) {
    throw new Refused("This server does not let you into its rooms: ask its owner for access, or reload this page to log in again");
  }
  if (!response.ok) throw new Error(`hello answered ${response.status}`);
  return (await response.json()) as Hello;
}

/** A root URL split for PartySocket, which joins `protocol://host/prefix/party/room`. */
export function partyAddress(root: string): { host: string; protocol: "ws" | "wss"; prefix: string } {
  const { host, protocol, pathname } = new URL(root);
  return { host, protocol: protocol === "https:" ? "wss" : "ws", prefix: `${pathname.replace(/^\/+/, "")}parties` };
}
