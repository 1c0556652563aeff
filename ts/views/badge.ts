/** Which way carries a room, and its delay, in words. */
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
  show(transport: TransportName | null, delay: number | "busy" | null, why = ""): void {
    if (transport === null) {
      setText(this.node, "");
      this.node.removeAttribute("title");
      return;
    }
    const words =
      delay === null
        ? ""
        : delay === "busy"
          ? transport === "comm"
            ? " · kernel busy"
            : " · no answer for 2 s"
          : ` · ${milliseconds(delay)}`;
    setText(this.node, transport + words);
    const there = typeof delay === "number" ? `; there and back in ${milliseconds(delay)}` : "";
    this.node.title = `Connected ${MEANING[transport]}${there}${why && `. ${why}`}`;
    this.node.classList.toggle("pw-badge-slow", delay === "busy");
  }
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
