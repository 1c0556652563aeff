/** A widget's model and its kernel for tests: traits in a map, and the kernel's side of the comm as a function. */
import { vi } from "vitest";
import type { CustomMessage, WidgetModel } from "../model.ts";

type Answer = (message: CustomMessage, buffers: ArrayBuffer[]) => void;

export class FakeKernel implements WidgetModel {
  traits: Map<string, unknown>;
  sent: { message: CustomMessage; buffers: ArrayBuffer[] }[] = [];
  saved = 0;
  /** What the kernel does with a message; nothing by default, like one that is busy. */
  answer: Answer = () => {};
  /** How many messages went out for each socket: `lose` counts one that never arrives. */
  counts: Record<string, number> = {};
  #handlers = new Map<string, Set<(...args: unknown[]) => void>>();

  constructor(traits: Record<string, unknown> = {}) {
    this.traits = new Map(Object.entries(traits));
  }

  get(name: string): unknown {
    return this.traits.get(name);
  }

  set(name: string, value: unknown): void {
    this.traits.set(name, value);
    this.emit(`change:${name}`);
  }

  save_changes(): void {
    this.saved++;
  }

  send(content: unknown, _callbacks?: unknown, buffers: (ArrayBuffer | ArrayBufferView)[] = []): void {
    const message = content as CustomMessage;
    this.sent.push({ message, buffers: buffers as ArrayBuffer[] });
    this.answer(message, buffers as ArrayBuffer[]);
  }

  on(event: string, handler: (...args: never[]) => void): void {
    if (!this.#handlers.has(event)) this.#handlers.set(event, new Set());
    this.#handlers.get(event)!.add(handler as (...args: unknown[]) => void);
  }

  off(event: string, handler?: ((...args: never[]) => void) | null): void {
    if (handler) this.#handlers.get(event)?.delete(handler as (...args: unknown[]) => void);
    else this.#handlers.delete(event);
  }

  /** A custom message from the kernel; buffers arrive as DataViews, as from a comm. */
  push(message: CustomMessage, ...buffers: (string | Uint8Array)[]): void {
    const views = buffers.map((buffer) => {
      const bytes = typeof buffer === "string" ? new TextEncoder().encode(buffer) : buffer;
      return new DataView(bytes.slice().buffer);
    });
    this.emit("msg:custom", this.#numbered(message), views);
  }

  /** A custom message that is lost on its way. */
  lose(message: CustomMessage): void {
    this.#numbered(message);
  }

  /** As a relay numbers those of a socket, and as it answers `hello`. */
  #numbered(message: CustomMessage): CustomMessage {
    if (message.op === "hello") return { sockets: this.counts, ...message };
    if (typeof message.socket !== "string") return message;
    const n = this.counts[message.socket] ?? 0;
    this.counts[message.socket] = n + 1;
    return { ...message, n };
  }

  emit(event: string, ...args: unknown[]): void {
    for (const handler of [...(this.#handlers.get(event) ?? [])]) handler(...args);
  }

  handlers(event: string): number {
    return this.#handlers.get(event)?.size ?? 0;
  }

  /** The messages sent with an op. */
  ops(op: string): CustomMessage[] {
    return this.sent.filter(({ message }) => message.op === op).map(({ message }) => message);
  }
}

/** Waits until a check passes: 8 s at most, since the machine may be busy with other tests. */
export function soon<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, 8000);
}
