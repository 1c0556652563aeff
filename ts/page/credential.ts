/** What a person has shown to the host: kept in this object alone, sent in a header alone, to this page's own host alone. */
import { xsrfHeader } from "../transport/xsrf.ts";
import type { Ticket } from "./host-model.ts";
import type { TerminalList } from "./terminal-choice.ts";

/** The host knows the credential no more, or never did. */
export class NotKnown extends Error {}

/** The host knows the credential, which may not do what it was asked for. */
export class NotAllowed extends Error {}

const ANSWER_MS = 8000;
/** What may stand in a header: a token has no blanks, and nothing else that a person could have copied along. */
const WELL_FORMED = /^[\x21-\x7e]+$/;

export class Credential {
  /** Is called when the host does not know the credential, or no longer. */
  refused: () => void = () => {};
  #root: string;
  #token: string | null;
  #cookie: boolean;

  /**
   * `root` of the host's routes, with a slash at its end; `token` null: a host without authentication, or, with `cookie`, a Jupyter Server
   * whose login this browser has.
   */
  constructor(root: string, token: string | null, { cookie = false } = {}) {
    this.#root = root;
    this.#token = token;
    this.#cookie = cookie;
  }

  /** A ticket for one handshake with a room. Rejects with NotKnown, or with an Error of one sentence. */
  ticket(party: string, room: string): Promise<Ticket> {
    return this.#ask("tickets", { method: "POST", body: JSON.stringify({ party, room }) }) as Promise<Ticket>;
  }

  /** The terminals of the host, and where one may be opened. Rejects as `ticket` does. */
  terminals(): Promise<TerminalList> {
    return this.#ask("api/terminals", { method: "GET" }) as Promise<TerminalList>;
  }

  async #ask(path: string, request: { method: string; body?: string }): Promise<unknown> {
    const token = this.#token;
    if (token !== null && !WELL_FORMED.test(token)) throw new NotKnown("it holds a blank or a character that no token has");
    let response: Response;
    try {
      response = await fetch(this.#root + path, {
        ...request,
        headers: {
          ...(request.body === undefined ? {} : { "Content-Type": "application/json" }),
          ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
          ...(this.#cookie ? xsrfHeader() : {}),
        },
        credentials: this.#cookie ? "same-origin" : "omit",
        cache: "no-store",
        redirect: "error",
        // The page's own policy tells nobody where it is; the host itself asks for the Origin.
        referrerPolicy: "same-origin",
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      if (response.ok) return await response.json();
    } catch {
      throw new Error("the host does not answer: still trying");
    }
    const reason = await sentence(response);
    if (response.status === 403) throw new NotAllowed(reason);
    if (response.status !== 401) throw new Error(reason);
    this.refused();
    throw new NotKnown(reason);
  }
}

async function sentence(response: Response): Promise<string> {
  try {
    const { error } = (await response.json()) as { error?: unknown };
    if (typeof error === "string" && error !== "") return error;
  } catch {
    // A proxy's page.
  }
  return `the host answered ${response.status}`;
}
