/** Frames and messages of a terminal room, `partywidgets.terminal.v1`. Pure functions and types, tested against tests/vectors/*.json. */
import type { Reply } from "./protocol.ts";

const OUTPUT = 1;
const INPUT = 2;
const SNAPSHOT = 3;

export type TerminalFrame =
  | { kind: "output"; offset: number; bytes: Uint8Array }
  | { kind: "input"; sequence: number; bytes: Uint8Array }
  | { kind: "snapshot"; offset: number; cols: number; rows: number; bytes: Uint8Array };

/** Reads one binary frame of `partywidgets.terminal.v1`. Throws a RangeError that says what it got. */
export function decodeFrame(frame: Uint8Array): TerminalFrame {
  const kind = frame[0];
  const header = kind === SNAPSHOT ? 13 : 9;
  if (frame.length < header) throw new RangeError(`expected a terminal frame of at least ${header} bytes, got ${frame.length}`);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const number = readU64(view, 1);
  const bytes = frame.subarray(header);
  if (kind === OUTPUT) return { kind: "output", offset: number, bytes };
  if (kind === INPUT) return { kind: "input", sequence: number, bytes };
  if (kind === SNAPSHOT) return { kind: "snapshot", offset: number, cols: view.getUint16(9), rows: view.getUint16(11), bytes };
  throw new RangeError(`expected a terminal frame of kind 1, 2 or 3, got kind ${kind}`);
}

/** An input frame; `sequence` counts from 1 on each socket. */
export function encodeInput(sequence: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(9 + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, INPUT);
  view.setBigUint64(1, BigInt(sequence));
  frame.set(bytes, 9);
  return frame;
}

/** An offset is a JavaScript number: exact up to 2^53, which is 8 PiB of terminal output. */
function readU64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at));
}

export interface Size {
  cols: number;
  rows: number;
  by: string;
}
export interface Holder {
  connection: string;
  name: string;
}
export interface Lease {
  holder: Holder | null;
  can_type: boolean;
  /** Who waits for the holder's answer; left out by older hosts. */
  asking?: Holder[];
}
export interface Person {
  connection: string;
  name: string;
  role: string;
  subject: string;
}
export interface Welcome {
  type: "welcome";
  epoch: string;
  offset: number;
  resumed: boolean;
  connection: string;
  role: string;
  can_type: boolean;
  size: Size;
  state: UpstreamState;
  reason: string;
  sandbox: string;
  lease: Lease;
  screen: "exact" | "raw";
  host_id: string;
  /** What the room calls this socket; left out by older hosts, as is the next. */
  socket?: string;
  /** The number of the last input that came from the socket named in the query's `after`. */
  taken?: number | null;
}
export type UpstreamState = "starting" | "running" | "ended" | "failed";
export interface Mark {
  type: "mark";
  kind: "start" | "end";
  id: string;
  command: string;
  actor: string;
  offset: number;
  exit_code?: number | null;
  duration_s?: number | null;
  cwd?: string | null;
}

/** Control from a terminal room. */
export type TerminalControl =
  | Welcome
  | { type: "resync"; reason: "joined" | "lagged" | "epoch" | "history" | "above" | "asked"; short?: boolean }
  | ({ type: "resize"; offset: number } & Size)
  | { type: "presence"; people: Person[] }
  | ({ type: "lease" } & Lease)
  | Mark
  | { type: "upstream"; state: UpstreamState; reason: string; sandbox: string }
  | { type: "lag"; behind: number }
  | { type: "exit"; code: number | null; reason: string }
  | { type: "ticket"; ticket: string; expires_in: number }
  | ({ type: "reply" } & Reply)
  | { type: "waits"; id: string; reason: string }
  | { type: "error"; message: string };

export type LeaseAction = { action: "take" | "release" | "withdraw" } | { action: "give" | "refuse"; to: string };

/** Control to a terminal room. */
export type TerminalRequest =
  | { type: "consumed"; offset: number; rate?: number }
  | { type: "resync" }
  | { type: "resize"; cols: number; rows: number }
  | ({ type: "lease"; id?: string } & LeaseAction)
  | { type: "ask"; id: string }
  | { type: "eject"; id: string; connection: string }
  | { type: "restart"; id: string }
  | { type: "run"; id: string; command: string; timeout_s: number | null }
  | { type: "cancel"; run: string; interrupt?: boolean }
  | { type: "send"; id: string; text: string }
  | { type: "screen"; id: string; format: "text" | "html" }
  | { type: "history"; id: string };
