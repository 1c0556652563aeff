/**
 * The place of an address over a login: what stands behind its `#` is told to no server, and a login's form does not hand it on. It is kept
 * in this tab's `sessionStorage` until the page is there again: the place alone, never a credential.
 */
import { readPlace, writePlace } from "./place.ts";

/** How long somebody may take to log in. */
const KEPT_MS = 15 * 60_000;

/** What is needed of `sessionStorage`. */
export type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Keeps the place of `fragment` for the page at `root`; of the board itself there is nothing to keep. */
export function keepPlace(shelf: Shelf, root: string, fragment: string, now = Date.now()): void {
  const place = writePlace(readPlace(fragment));
  if (place === "") shelf.removeItem(key(root));
  else shelf.setItem(key(root), JSON.stringify({ place, at: now }));
}

/** The fragment that was kept for the page at `root`, once; "" when there is none, or it is old. */
export function takePlace(shelf: Shelf, root: string, now = Date.now()): string {
  const kept = shelf.getItem(key(root));
  shelf.removeItem(key(root));
  try {
    const { place, at } = JSON.parse(kept ?? "") as { place: unknown; at: unknown };
    // What another page of this origin may have put there is read as an address is.
    if (typeof place === "string" && typeof at === "number" && Math.abs(now - at) < KEPT_MS) return writePlace(readPlace(place));
  } catch {
    // Nothing, or nothing of ours.
  }
  return "";
}

function key(root: string): string {
  return `partywidgets:place:${root}`;
}
