/** A recording, asked of the kernel: it never travels in a trait, so it is not saved with the notebook. */
import type { WidgetModel } from "./model.ts";

export interface RecordedCommand {
  /** Seconds from the start of the recording. */
  time: number;
  command: string;
  actor: string;
  exit_code: number | null;
  duration_s: number | null;
}

export interface RecordingDescription {
  id: string;
  room: string;
  started_at: string;
  duration_s: number;
  cols: number;
  rows: number;
  complete: boolean;
  commands: RecordedCommand[];
}

const ANSWER_MS = 30_000;

/** The newest recording of the widget's room, or the one that the widget is of. Rejects with a sentence. */
export function askRecording(model: WidgetModel, signal: AbortSignal): Promise<{ recording: RecordingDescription; cast: string }> {
  return new Promise((resolve, reject) => {
    const id = crypto.getRandomValues(new Uint32Array(3)).join("-");
    const end = (error?: string) => {
      clearTimeout(timer);
      model.off("msg:custom", answer);
      if (error) reject(new Error(error));
    };
    const answer = (message: { id?: string; error?: string; recording?: RecordingDescription }, buffers: DataView[]) => {
      if (message.id !== id) return;
      const [cast] = buffers;
      if (message.error || !message.recording || !cast) return end(message.error || "the kernel sent no recording");
      end();
      resolve({ recording: message.recording, cast: new TextDecoder().decode(cast) });
    };
    const timer = setTimeout(() => end("the kernel did not answer within 30 s: is a cell running?"), ANSWER_MS);
    signal.addEventListener("abort", () => end("the view is closed"));
    model.on("msg:custom", answer);
    model.send({ op: "recording", id });
  });
}
