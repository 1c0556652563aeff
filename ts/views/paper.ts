/** A page on paper, where nobody scrolls. */

/** Of a sheet in CSS pixels, upright and with margins: the narrower one of A4 and letter. */
export const PAPER_WIDTH = 700;
/** Of more rows those in view are printed: the others are a matter of the filter, or of CSV. */
export const MOST_PRINTED = 2000;

/** Calls `printing` before the browser prints, and after it. Returns what ends that. */
export function followPaper(printing: (printed: boolean) => void): () => void {
  const leaving = new AbortController();
  window.addEventListener("beforeprint", () => printing(true), { signal: leaving.signal });
  window.addEventListener("afterprint", () => printing(false), { signal: leaving.signal });
  return () => leaving.abort();
}

/** What a sheet says that has not all lines. */
export function partOf(first: number, last: number, length: number): string {
  const [from, to, all, most] = [first, last, length, MOST_PRINTED].map((number) => number.toLocaleString("en"));
  return `Lines ${from} to ${to} of ${all} are printed: those in view. A filter that keeps at most ${most} prints all that it keeps, and CSV saves every row.`;
}
