/** A widget's model on a page without a kernel: traits in a map, and a comm that knows nothing but tickets. */
import type { WidgetModel } from "../model.ts";

export interface Ticket {
  ticket: string;
  expires_in: number;
}

/** `ticket` fetches one for a room; what it rejects with is told to whoever asked. */
export function hostModel(traits: Record<string, unknown>, ticket: (party: string, room: string) => Promise<Ticket>): WidgetModel {
  const values = new Map(Object.entries(traits));
  const handlers = new Map<string, Set<(...args: unknown[]) => void>>();
  const emit = (event: string, ...args: unknown[]) => {
    for (const handler of [...(handlers.get(event) ?? [])]) handler(...args);
  };
  return {
    get: (name) => values.get(name),
    set(name, value) {
      values.set(name, value);
      emit(`change:${name}`);
    },
    save_changes() {},
    send(content) {
      const message = content as { op: string; id: string; sandbox?: string };
      if (message.op !== "ticket") return;
      const [party, room] = message.sandbox ? ["terminal-server", message.sandbox] : [values.get("_party"), values.get("_room")];
      ticket(String(party), String(room)).then(
        (answer) => emit("msg:custom", { ...answer, op: "ticket", id: message.id }, []),
        (error) => emit("msg:custom", { op: "ticket", id: message.id, error: error instanceof Error ? error.message : String(error) }, []),
      );
    },
    on(event, handler) {
      if (!handlers.has(event)) handlers.set(event, new Set());
      handlers.get(event)!.add(handler as (...args: unknown[]) => void);
    },
    off(event, handler) {
      handlers.get(event)?.delete(handler as (...args: unknown[]) => void);
    },
  };
}
