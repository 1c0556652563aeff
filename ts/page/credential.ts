/** What a person has shown to the host: kept in this object alone, sent in a header alone, to this page's own host alone. */
import type { Ticket } from "./host-model.ts";

/** The host knows the credential no more, or never did. */
export class NotKnown extends Error {}

const ANSWER_MS = 8000;
/** What may stand in a header: a token has no blanks, and nothing else that a person could have copied along. */
const WELL_FORMED = /^[\x21-\x7e]+$/;

export class Credential {
  /** Is called when the host does not know the credential, or no longer. */
  refused: () => void = () => {};
  #root: string;
  #token: string | null;

  /** `root` of the host's routes, with a slash at its end; `token` null: a host without authentication. */
  constructor(root: string, token: string | null) {
    this.#root = root;
    this.#token = token;
  }

  /** A ticket for one handshake with a room. Rejects with NotKnown, or with an Error of one sentence. */
  async ticket(party: string, room: string): Promise<Ticket> {
    const token = this.#token;
    if (token !== null && !WELL_FORMED.test(token)) throw new NotKnown("it holds a blank or a character that no token has");
    let response: Response;
    try {
      response = await fetch(`${this.#root}tickets`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...(token === null ? {} : { Authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ party, room }),
        credentials: "omit",
        cache: "no-store",
        redirect: "error",
        // The page's own policy tells nobody where it is; the host itself asks for the Origin.
        referrerPolicy: "same-origin",
        signal: AbortSignal.timeout(ANSWER_MS),
      });
    } catch {
      throw new Error("the host does not answer: still trying");
    }
    if (response.ok) return (await response.json()) as Ticket;
    const reason = await sentence(response);
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
