/** The commands of a recording: each one is a button that leads to its place. */
import type { RecordedCommand, RecordingDescription } from "../recording-source.ts";
import { element } from "./element.ts";

/** Seconds as `m:ss` or `h:mm:ss`. */
export function position(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${String(rest).padStart(2, "0")}`;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** How long it took, and how long it is played where its pauses are cut: the player's clock and the commands' are those of playing. */
export function lasts({ duration_s, complete }: Pick<RecordingDescription, "duration_s" | "complete">, played: number): string {
  const [took, plays] = [position(duration_s), position(played)];
  return `${took}${plays === took ? "" : `, played in ${plays}`}${complete ? "" : " · not ended when it was read"}`;
}

/** Who ran each is in the list where it was not one person: a hand-over is read by that. */
export function commandList(commands: RecordedCommand[], seek: (seconds: number) => void): HTMLElement {
  const several = new Set(commands.map(({ actor }) => actor)).size > 1;
  return element(
    "ol",
    { class: "pw-commands", "aria-label": "Commands", hidden: commands.length === 0 },
    ...commands.map((entry) =>
      element(
        "li",
        {},
        element(
          "button",
          { type: "button", title: hint(entry), onclick: () => seek(entry.time) },
          element("span", { class: "pw-muted" }, position(entry.time)),
          element("code", {}, entry.command),
          several && element("span", { class: "pw-actor" }, entry.actor || "somebody"),
          element("span", { class: "pw-muted" }, outcome(entry)),
        ),
      ),
    ),
  );
}

/** The command whole: the list has room for its beginning. */
function hint({ actor, command, time }: RecordedCommand): string {
  return `${command}\nBy ${actor || "somebody"}: play from ${position(time)}`;
}

function outcome({ exit_code, duration_s }: RecordedCommand): string {
  if (duration_s === null) return "did not end";
  const how = exit_code === null ? "ended" : `${exit_code === 0 ? "✓" : "✕"} exit ${exit_code}`;
  return `${how} · ${lasting(duration_s)}`;
}

function lasting(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : position(seconds);
}
