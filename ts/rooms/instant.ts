/** Times of results as numbers, for those who read thousands a second. Pure. */

/** Characters of `2026-11-28T`. */
const DAY = 11;
const WHOLE = "2026-11-28T03:04:05.678Z".length;
const ZERO = 48;
let day = "";
let midnight = Number.NaN;

/** Milliseconds since 1970; NaN where it is not a time. As `Date.parse`, which costs ten times as much for the form that hosts send. */
export function instant(text: string): number {
  if (text?.length !== WHOLE || !text.endsWith("Z")) return Date.parse(text);
  if (!text.startsWith(day) || day === "") {
    const begin = Date.parse(`${text.slice(0, DAY)}00:00:00Z`);
    if (Number.isNaN(begin)) return Date.parse(text);
    day = text.slice(0, DAY);
    midnight = begin;
  }
  const [hours, minutes, seconds] = [two(text, 11), two(text, 14), two(text, 17)];
  const millis = two(text, 20) * 10 + digit(text, 22);
  const at = midnight + ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
  // What is not a digit, or an hour 25, is not ours to judge.
  const plain = hours < 24 && minutes < 60 && seconds < 60 && millis < 1000 && text[13] === ":" && text[16] === ":" && text[19] === ".";
  return plain ? at : Date.parse(text);
}

function two(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}

/** NaN for what is not a digit, so that every comparison with it fails. */
function digit(text: string, at: number): number {
  const value = text.charCodeAt(at) - ZERO;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}
