/** Where a moment of a recording is when it is played with its pauses shortened. */

/**
 * From seconds of the recording to seconds of its playback. The player shortens every pause between two events to `limit` seconds,
 * but takes seeks and markers as they are given, so they are to be given in playback's time.
 */
export function playbackTime(cast: string, limit: number): (seconds: number) => number {
  /** Long pauses: their beginning in the recording, and what was left out before it. */
  const pauses: { start: number; length: number; before: number }[] = [];
  let now = 0;
  let skipped = 0;
  for (const line of cast.split("\n")) {
    // An event begins with the seconds since the one before; the header and comments do not look like that.
    const length = Number(/^\s*\[\s*([\d.eE+-]+)\s*,/.exec(line)?.[1] ?? Number.NaN);
    if (Number.isNaN(length)) continue;
    if (length > limit) {
      pauses.push({ start: now, length, before: skipped });
      skipped += length - limit;
    }
    now += length;
  }
  return (seconds) => {
    const pause = pauses.findLast(({ start }) => start < seconds);
    if (!pause) return seconds;
    const into = Math.max(0, Math.min(seconds - pause.start, pause.length) - limit);
    return seconds - pause.before - into;
  };
}

/**
 * Where to seek so that all that happened at a moment of the playback is on the screen, in seconds. Moments are recorded in whole
 * milliseconds, but the player adds its events' up in floating point, and an event whose sum is a hair behind the seek is left out.
 */
export function seekTime(moment: number): number {
  return moment + 0.0005;
}
