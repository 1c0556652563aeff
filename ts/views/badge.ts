/** Which way carries a room, and its delay, in words. */
import type { Delay, Silence } from "../transport/delay.ts";
import type { TransportName } from "../transport/endpoint.ts";
import { element, setText } from "./element.ts";

const MEANING: Record<TransportName, string> = {
  server: "through the Jupyter Server's extension",
  loopback: "straight to the kernel's own server on this machine",
  remote: "straight to a remote host",
  comm: "through the kernel's comm: what you type waits while a cell blocks, output arrives",
};

export class Badge {
  readonly node = element("span", { class: "pw-badge" });

  /** `why` no better way carries, a sentence with what helps, or empty. */
  show(transport: TransportName | null, delay: Delay, why = ""): void {
    if (transport === null) {
      setText(this.node, "");
      this.node.removeAttribute("title");
      return;
    }
    const silence = typeof delay === "object" ? delay : null;
    const words = silence ? silenceOf(transport, silence) : typeof delay === "number" ? milliseconds(delay) : "";
    setText(this.node, words ? `${transport} · ${words}` : transport);
    const there = typeof delay === "number" ? `; there and back in ${milliseconds(delay)}` : "";
    const cause = silence && transport === "comm" ? causeOf(silence) : "";
    const none = silence ? `; no answer for ${seconds(silence.forMs)}` : "";
    this.node.title = [`Connected ${MEANING[transport]}${there}${none}`, cause, why].filter(Boolean).join(". ");
    this.node.classList.toggle("pw-badge-slow", silence !== null);
  }
}

/** Over a comm the kernel itself would answer: what it cannot say while a cell blocks, its rooms still send. */
function silenceOf(transport: TransportName, { forMs, heard }: Silence): string {
  const time = seconds(forMs);
  if (transport !== "comm") return `no answer for ${time}`;
  return heard ? `kernel busy ${time}` : `kernel busy? ${time}`;
}

function causeOf({ heard }: Silence): string {
  return heard
    ? "A cell blocks the kernel, output arrives"
    : "A cell blocks the kernel and its rooms have nothing to say, or Jupyter lost its connection to it: Kernel, Reconnect to Kernel helps then";
}

function seconds(ms: number): string {
  const whole = Math.floor(ms / 1000);
  if (whole < 60) return `${whole} s`;
  return whole < 3600 ? `${Math.floor(whole / 60)} min` : `${Math.floor(whole / 3600)} h`;
}

function milliseconds(delay: number): string {
  return delay < 1
    ? "<1 ms"
    : delay < 10
      ? `${delay.toFixed(1)} ms`
      : delay < 1000
        ? `${Math.round(delay)} ms`
        : `${(delay / 1000).toFixed(1)} s`;
}
