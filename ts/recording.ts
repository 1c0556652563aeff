/** The bundle of a recording: a player with a seek bar, and the commands beside it. */
import { create } from "asciinema-player";
import playerStyles from "asciinema-player/dist/bundle/asciinema-player.css";
import { playbackTime, seekTime } from "./cast-time.ts";
import { type MountOptions, option } from "./model.ts";
import { askRecording } from "./recording-source.ts";
import baseStyles from "./styles/base.css";
import recordingStyles from "./styles/recording.css";
import { commandList, lasts } from "./views/command-list.ts";
import { addStyles, download, element, setText } from "./views/element.ts";
import { followTheme } from "./views/theme.ts";

export function mount({ model, el, signal }: MountOptions): void {
  addStyles(el, "base", baseStyles);
  addStyles(el, "recording", playerStyles + recordingStyles);
  const title = element("span", { class: "pw-bar-title" }, `Recording of ${String(model.get("_room") ?? "")}`);
  const note = element("span", { class: "pw-muted", role: "status" }, "loading");
  const save = element("button", { type: "button", disabled: true, title: "Save it as an asciicast v3 file" }, "Download");
  const screen = element("div", { class: "pw-player" });
  const body = element("div", { class: "pw-recording-body" }, screen);
  const bar = element("div", { class: "pw-bar" }, title, note, element("span", { class: "pw-space" }), save);
  const root = element(
    "div",
    { class: "pw pw-recording", "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": title.textContent },
    bar,
    body,
  );
  root.addEventListener("keydown", (event) => {
    press(event);
    event.stopPropagation();
  });
  el.append(root);
  followTheme(root, signal);
  signal.addEventListener("abort", () => root.remove());

  askRecording(model, signal).then(
    ({ recording, cast }) => {
      if (signal.aborted) return;
      const limit = option(model, "idle_time_limit", 2);
      const played = playbackTime(cast, limit);
      setText(note, lasts(recording, played(recording.duration_s)));
      const commands = recording.commands.map((entry) => ({ ...entry, time: played(entry.time) }));
      const player = create({ data: cast, parser: "asciicast" }, screen, {
        controls: true,
        fit: "width",
        preload: true,
        idleTimeLimit: limit,
        // The last screen rather than the empty first one: what there is to see.
        poster: `npt:${seekTime(played(recording.duration_s))}`,
        markers: commands.map(({ time, command }) => [time, command]),
        terminalFontFamily: getComputedStyle(root).getPropertyValue("--pw-mono").trim() || "monospace",
      });
      signal.addEventListener("abort", () => player.dispose());
      body.append(commandList(commands, (seconds) => void player.seek(seekTime(seconds)).then(() => player.play())));
      save.disabled = false;
      save.addEventListener("click", () => download(`${recording.room}-${recording.id}.cast`, "application/x-asciicast", cast));
    },
    (error: Error) => {
      if (signal.aborted) return;
      // To be read whole, in as many lines as it takes; and there is nothing to save.
      note.className = "";
      save.hidden = true;
      setText(note, error.message);
    },
  );
}

/**
 * The player hears keys on the document, where its library (Solid) looks for the handler that an element keeps as `$$keydown`. No key of
 * a widget gets that far: a notebook takes the focus at any that it sees.
 */
function press(event: KeyboardEvent): void {
  for (let node = event.target as Element | null; node && node !== event.currentTarget; node = node.parentElement) {
    const heard = (node as { $$keydown?: (event: KeyboardEvent) => void }).$$keydown;
    if (heard === undefined) continue;
    heard.call(node, event);
    return;
  }
}
