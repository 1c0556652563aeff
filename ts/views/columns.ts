/** The columns of a table of results: their widths, and what stands in their cells. */
import type { Result } from "../result.ts";
import { COLUMN_KEYS, type ColumnKey, labelTexts, staleAt } from "../rooms/row-values.ts";
import { element } from "./element.ts";
import { age, clock, duration, isStale, statusMark, suppressionText, unconfirmed } from "./status.ts";

export interface Column {
  key: ColumnKey;
  title: string;
  /** In CSS pixels; of a column that grows, the least. */
  width: number;
  /** The same in a table below `NARROW`: what every width shows has to fit there, too. */
  narrow?: number;
  /** Its share of what is left; 0: it does not grow. */
  grow: number;
  right?: boolean;
  /** A narrow table leaves it out, unless somebody chose its columns. */
  from: number;
  /** How it is sorted at the first click. */
  descending?: boolean;
  /** What is drawn, as text: a cell with the same is left as it is. */
  sign(row: Result): string;
  cell(row: Result): HTMLElement;
  /** The sign is the cell's text: a cell that is there is given the new one. */
  plain?: boolean;
  /** What a person or a target wrote: read in its own direction, and cut off at its end. */
  prose?: boolean;
}

/** Below it a row has two lines, see `stacks`. */
const NARROW = 520;
const HIDDEN = Number.POSITIVE_INFINITY;
/** From here on a column of acks has room, where there is one; the less important ones then come later. */
const ACKED = 560;
const FOR_ACKS = 120;

const plain = (sign: (row: Result) => string, className = "") => ({
  sign,
  cell: (row: Result) => text(sign(row), className),
  plain: true,
});

export const COLUMNS: Record<ColumnKey, Column> = {
  status: {
    key: "status",
    title: "Status",
    width: 124,
    grow: 0,
    from: 0,
    sign: ({ status, state, suppression }) =>
      `${status} ${state?.phase} ${state?.attempt}/${state?.max_attempts} ${suppression ? suppressionText(suppression) : ""}`,
    cell: statusCell,
  },
  severity: { key: "severity", title: "Severity", width: 98, grow: 0, from: 600, descending: true, ...plain((row) => row.severity) },
  title: {
    key: "title",
    title: "Check",
    width: 130,
    narrow: 104,
    grow: 3,
    from: 0,
    ...plain((row) => row.title || row.check_id, "pw-strong"),
    prose: true,
  },
  target: { key: "target", title: "Target", width: 80, grow: 2, from: 1080, ...plain((row) => row.target ?? "", "pw-mono") },
  summary: {
    key: "summary",
    title: "Summary",
    width: 120,
    narrow: 84,
    grow: 4,
    from: 0,
    ...plain((row) => row.summary ?? ""),
    prose: true,
  },
  duration_ms: {
    key: "duration_ms",
    title: "Duration",
    width: 88,
    grow: 0,
    right: true,
    descending: true,
    from: 860,
    ...plain((row) => duration(row.duration_ms), "pw-number"),
  },
  since: {
    key: "since",
    title: "For",
    width: 62,
    grow: 0,
    right: true,
    from: 0,
    descending: true,
    sign: ({ state }) => state?.since ?? "",
    cell: sinceCell,
  },
  observed_at: {
    key: "observed_at",
    title: "Last look",
    width: 88,
    grow: 0,
    right: true,
    from: 720,
    descending: true,
    sign: (row) => `${row.observed_at} ${row.ttl_s}`,
    cell: ageCell,
  },
  suppression: {
    key: "suppression",
    title: "Ack",
    width: 116,
    grow: 0,
    from: ACKED,
    sign: ({ suppression }) => JSON.stringify(suppression),
    cell: suppressionCell,
  },
  check_id: { key: "check_id", title: "Id", width: 90, grow: 1, from: HIDDEN, ...plain((row) => row.check_id, "pw-mono") },
  check_type: { key: "check_type", title: "Type", width: 84, grow: 0, from: HIDDEN, ...plain((row) => row.check_type) },
  labels: { key: "labels", title: "Labels", width: 110, grow: 2, from: HIDDEN, ...plain((row) => labelTexts(row).join(" ")) },
};

/** The columns that a table of `width` pixels shows while nobody chose any; that of acks only when there is one. */
export function columnsFor(width: number, suppressed: boolean): ColumnKey[] {
  return COLUMN_KEYS.filter((key) => {
    if (key === "suppression") return suppressed && width >= ACKED;
    const { from } = COLUMNS[key];
    return width >= from + (suppressed && from > ACKED ? FOR_ACKS : 0);
  });
}

/**
 * In a table of `width` pixels a row has two lines, since neither what a check is called nor what it says could be read in one: its name
 * over the summary, between the status and for how long. Not where somebody chose the columns.
 */
export function stacks(width: number, chosen: boolean): boolean {
  return width < NARROW && !chosen;
}

/** How narrow a column may be in a table of `width` pixels. */
export function leastOf({ width, narrow }: Column, table: number): number {
  return table < NARROW ? (narrow ?? width) : width;
}

function text(value: string, className = ""): HTMLElement {
  const node = element("span", { class: className || null });
  // An empty one too: its text is set later.
  node.append(document.createTextNode(value));
  return node;
}

function statusCell({ status, state, suppression }: Result): HTMLElement {
  const mark = statusMark(status);
  const { phase, attempt, max_attempts } = state ?? {};
  if (phase === "soft" && max_attempts > 1) {
    const words = unconfirmed(status, attempt, max_attempts);
    mark.append(
      element("span", { class: "pw-muted pw-small", title: words, role: "img", "aria-label": words }, ` ${attempt}/${max_attempts}`),
    );
  } else if (phase === "flapping") {
    const words = "flapping: changes too often";
    mark.append(element("span", { class: "pw-muted pw-small", title: words, role: "img", "aria-label": words }, " ~"));
  }
  // A narrow table has no column of acks, and a row that is paler than others says nothing to who does not see that.
  if (suppression) {
    const words = suppressionText(suppression);
    mark.append(element("span", { class: "pw-muted pw-small", title: words, role: "img", "aria-label": words }, " ⊘"));
  }
  return mark;
}

function ageCell(row: Result): HTMLElement {
  const stale = isStale(row);
  return element(
    "span",
    {
      class: stale ? "pw-age pw-stale" : "pw-age",
      title: `${clock(row.observed_at)}${stale ? ": older than it should be" : ""}`,
      "data-at": row.observed_at,
      "data-until": staleAt(row),
    },
    (stale ? "! " : "") + age(row.observed_at),
  );
}

/** For how long the row has had its status: the first thing that one asks of a failing one. */
function sinceCell({ status, state }: Result): HTMLElement {
  const since = state?.since;
  if (!since) return text("");
  // The clock that moves ages on moves this one, too; it is never stale.
  return element(
    "span",
    { class: "pw-age", title: `${status} since ${clock(since)}`, "data-at": since, "data-until": "Infinity" },
    age(since),
  );
}

function suppressionCell({ suppression }: Result): HTMLElement {
  const words = suppressionText(suppression);
  return element("span", { class: "pw-muted", title: suppression?.reason ? `${words}: ${suppression.reason}` : words }, words);
}
