/** What a page typed into its room, counted by connection, so that a person hears what a lost one swallowed. */

/** An input of more bytes is no key: a pasted text. */
const KEY_BYTES = 24;
const TEXTS_KEPT = 64;

export class SentInputs {
  /** How many went out on this socket, and on the one that was lost. */
  #sent = 0;
  #before = 0;
  /** The numbers of those that were longer than a key; the last ones. */
  #texts: number[] = [];
  #textsBefore: number[] = [];

  /** The number of the next input. */
  get next(): number {
    return this.#sent + 1;
  }

  /** An input of so many bytes went out. */
  went(bytes: number): void {
    this.#sent++;
    if (bytes > KEY_BYTES) this.#texts = [...this.#texts.slice(1 - TEXTS_KEPT), this.#sent];
  }

  /** A new socket: numbers start again. */
  restart(): void {
    if (!this.#sent) return;
    [this.#before, this.#sent] = [this.#sent, 0];
    [this.#textsBefore, this.#texts] = [this.#texts, []];
  }

  /** A sentence on what the lost connection swallowed; null where it did nothing, or nobody knows. `taken`: the room's last number of it. */
  swallowed(taken: number | null | undefined): string | null {
    const lost = this.#before - (taken ?? this.#before);
    this.#before = 0;
    if (lost <= 0) return null;
    return `${named(
      lost,
      this.#textsBefore.some((number) => number > (taken ?? 0)),
    )} lost with the connection`;
  }
}

function named(count: number, text: boolean): string {
  if (count === 1) return text ? "The text that you pasted last was" : "Your last keystroke was";
  return text ? `Your last ${count} inputs, pasted text among them, were` : `Your last ${count} keystrokes were`;
}
