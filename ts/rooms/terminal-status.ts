/** What a terminal room says of itself and of this person, and what follows from it. */
import type { Holder, Lease, Person, Size, UpstreamState } from "../terminal-protocol.ts";
import type { Above } from "./coming-screen.ts";

/** What a person may want to know about the room. */
export interface TerminalStatus {
  /** The present connection has been welcomed; until then all else is of the one before. */
  welcomed: boolean;
  connection: string;
  role: string;
  canType: boolean;
  lease: Lease["holder"];
  /** Who waits for the holder's answer, the first first. */
  asking: Holder[];
  people: Person[];
  size: Size | null;
  upstream: UpstreamState | null;
  reason: string;
  sandbox: string;
  exit: { code: number | null; reason: string } | null;
  lagging: boolean;
  screenIsRaw: boolean;
  above: Above;
}

/** Of a room that has not said anything. */
export const NOBODY: TerminalStatus = {
  welcomed: false,
  connection: "",
  role: "",
  canType: false,
  lease: null,
  asking: [],
  people: [],
  size: null,
  upstream: null,
  reason: "",
  sandbox: "",
  exit: null,
  lagging: false,
  screenIsRaw: false,
  above: "whole",
};

/** The lease is this person's, in this page or in another of theirs. */
export function holdsControl(status: TerminalStatus): boolean {
  return status.lease !== null && isOneself(status, status.lease);
}

/** This person asked for control, in this page or in another of theirs, and waits for the answer. */
export function asksForControl(status: TerminalStatus): boolean {
  return status.asking.some((asker) => isOneself(status, asker));
}

function isOneself({ connection, people }: TerminalStatus, other: Holder): boolean {
  if (other.connection === connection) return true;
  const subject = (id: string) => people.find((person) => person.connection === id)?.subject;
  const mine = subject(connection);
  return mine !== undefined && mine === subject(other.connection);
}

/** The room takes this page's size: this person has control, or nobody has and they may type. */
export function maySize(status: TerminalStatus): boolean {
  return status.canType && (status.lease === null || holdsControl(status));
}

/**
 * On joining, this page gives the PTY its size: nobody did so far, or it was this person. Somebody else's size is left until this person
 * takes control or changes their own layout, so that a second viewer never scrambles the first.
 */
export function sizesOnJoining(status: TerminalStatus): boolean {
  const { size, people, connection } = status;
  const name = people.find((person) => person.connection === connection)?.name;
  return maySize(status) && (!size?.by || size.by === name);
}

/** Why what this person types is not taken, as the end of a sentence; `open`: there is a connection. */
export function whyUnheard({ welcomed, connection, lease, canType, upstream, role }: TerminalStatus, open: boolean): string {
  if (!open || !welcomed) return connection === "" ? "the terminal is not live yet" : "the connection is lost";
  if (upstream === "ended" || upstream === "failed") return "nothing runs in this terminal any more";
  if (canType) return "the connection took nothing";
  if (lease !== null && role !== "observer") return `${lease.name} has control`;
  return `you are ${role || "a viewer"} here and only watch`;
}
