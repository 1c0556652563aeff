/** How a table is looked at: columns, order, groups, filter. Kept in the trait `view`, so it is saved with the widget and Python sees it. */
import { STATUSES, type Status } from "../result.ts";
import { COLUMN_KEYS, type ColumnKey, DEFAULT_SORT, GROUPINGS, readSort, type SortBy, writeSort } from "../rooms/row-values.ts";

export interface TableLook {
  /** In order; null: by the width of the table. */
  columns: ColumnKey[] | null;
  widths: Partial<Record<ColumnKey, number>>;
  sort: SortBy[];
  group: string;
  search: string;
  statuses: Status[];
}

/** Reads the trait; what makes no sense is as if it were not there. */
export function readLook(value: unknown): TableLook {
  const { columns, widths, sort, group, search, statuses } = (value ?? {}) as Record<string, unknown>;
  const keys = texts(columns).filter((key): key is ColumnKey => COLUMN_KEYS.includes(key as ColumnKey));
  const sorted = readSort(texts(sort));
  const numbers = Object.entries((widths ?? {}) as Record<string, unknown>).filter(
    ([key, width]) => COLUMN_KEYS.includes(key as ColumnKey) && typeof width === "number" && width > 0,
  );
  return {
    columns: keys.length > 0 ? [...new Set(keys)] : null,
    widths: Object.fromEntries(numbers),
    sort: sorted.length > 0 ? sorted : readSort(DEFAULT_SORT),
    group: typeof group === "string" && isGrouping(group) ? group : "",
    search: typeof search === "string" ? search.slice(0, 500) : "",
    statuses: texts(statuses).filter((status): status is Status => STATUSES.includes(status as Status)),
  };
}

/** The trait's value; what is as it comes is left out. */
export function writeLook({ columns, widths, sort, group, search, statuses }: TableLook): Record<string, unknown> {
  const sorted = writeSort(sort);
  return {
    ...(columns ? { columns } : {}),
    ...(Object.keys(widths).length > 0 ? { widths } : {}),
    ...(sorted.join() === DEFAULT_SORT.join() ? {} : { sort: sorted }),
    ...(group ? { group } : {}),
    ...(search ? { search } : {}),
    ...(statuses.length > 0 ? { statuses } : {}),
  };
}

/** A click on a header: sorts by it alone, or as the weakest of several; a second click turns it around. */
export function sortedBy(sort: readonly SortBy[], key: ColumnKey, descending: boolean, add: boolean): SortBy[] {
  const known = sort.find((by) => by.key === key);
  const alone = sort[0]?.key === key;
  const next = { key, descending: known && (add || alone) ? !known.descending : descending };
  if (!add) return [next];
  return known ? sort.map((by) => (by.key === key ? next : by)) : [...sort, next];
}

function isGrouping(by: string): boolean {
  return GROUPINGS.includes(by as never) || (by.startsWith("label:") && by.length > 6);
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}
