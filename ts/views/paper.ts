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
