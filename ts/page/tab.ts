/** What a browser's tab tells while nobody looks at the page: its title, and an icon whose sign says the same. */
import type { Counts } from "../result.ts";

export type Standing = "failing" | "warning" | "fine" | "unknown";

/** The title of the board's page, by which the tabs of several hosts are told apart. What is not live is not said to be fine. */
export function boardTitle(counts: Partial<Counts>, live: boolean, host: string): string {
  if (!live) return `not live · ${host}`;
  const failing = (["crit", "warn", "unknown"] as const).flatMap((status) => (counts[status] ? [`${counts[status]} ${status}`] : []));
  if (failing.length > 0) return `${failing.join(", ")} · ${host}`;
  return counts.ok ? `all ok · ${host}` : host;
}

/** How the board stands, for the icon. */
export function standingOf(counts: Partial<Counts>, live: boolean): Standing {
  if (!live) return "unknown";
  if (counts.crit) return "failing";
  if (counts.warn || counts.unknown) return "warning";
  return counts.ok ? "fine" : "unknown";
}

/** Each has a shape of its own: no state is told by colour alone. */
const SIGNS: Record<Standing, [string, string]> = {
  failing: ["#b3261e", "M9 9l14 14M23 9L9 23"],
  warning: ["#8a5a00", "M16 7v11M16 23v1"],
  fine: ["#1b6e2e", "M8 17l6 6 10-13"],
  unknown: ["#5f6368", "M9 16h14"],
};

/** Puts title and icon into the page's head. */
export function dressTab(title: string, standing: Standing): void {
  if (document.title !== title) document.title = title;
  const [colour, path] = SIGNS[standing];
  const frame = standing === "warning" ? "M16 1L31 30H1z" : "M6 1h20a5 5 0 0 1 5 5v20a5 5 0 0 1-5 5H6a5 5 0 0 1-5-5V6a5 5 0 0 1 5-5z";
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="${frame}" fill="${colour}"/><path d="${path}" fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
  const href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  const link = document.head.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (link && link.href !== href) link.href = href;
}
