/** Where in the page somebody is, as the fragment of its address has it: it never leaves the browser. Pure. */

export type Place =
  | { view: "checks" /** A fingerprint or a check's id; "": none. */; check: string }
  | { view: "terminal" /** A terminal's room; "": not chosen yet. */; room: string; sandbox: string };

/** Longer names are no room's and no check's. */
const LONGEST = 512;

/** `#check=<fingerprint or id>`, `#terminal=<room>` with `&sandbox=<id>`; everything else is the board. */
export function readPlace(fragment: string): Place {
  const query = new URLSearchParams(fragment.replace(/^#/, ""));
  const value = (name: string) => (query.get(name) ?? "").slice(0, LONGEST);
  if (query.has("terminal")) return { view: "terminal", room: value("terminal"), sandbox: value("sandbox") };
  return { view: "checks", check: value("check") };
}

/** The fragment of a place, "" for the board itself. */
export function writePlace(place: Place): string {
  if (place.view === "checks") return place.check === "" ? "" : `#${new URLSearchParams({ check: place.check })}`;
  const { room, sandbox } = place;
  if (room === "") return "#terminal";
  return `#${new URLSearchParams({ terminal: room, ...(sandbox === "" ? {} : { sandbox }) })}`;
}
