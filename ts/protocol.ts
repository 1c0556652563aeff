/** What the messages of every room have in common, as docs/topics/messages.md fixes it. Pure, tested against tests/vectors/*.json. */

export const TERMINAL_DIALECT = "partywidgets.terminal.v1";
export const OPS_DIALECT = "partywidgets.v1";
export const TICKET_PREFIX = "partywidgets.ticket.";

/** The answer to the request with this id. */
export interface Reply {
  id: string;
  ok: boolean;
  result?: unknown;
  error?: string;
}

/** Parses a text frame. Throws a SyntaxError or a TypeError when it is not a JSON object with a `type`. */
export function parseMessage<M extends { type: string }>(text: string): M {
  const message: unknown = JSON.parse(text);
  if (typeof message !== "object" || message === null || typeof (message as { type?: unknown }).type !== "string") {
    throw new TypeError(`expected a message with a type, got ${text.slice(0, 80)}`);
  }
  return message as M;
}

/** Ids of requests: random, so that a page knows its own answers among those of others. */
export function requestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("");
}
