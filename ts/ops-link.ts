/** A widget on the ops room: the link, its bar, and the traits that Python sees. Shared by table.ts and dashboard.ts. */
import { type MountOptions, TraitWriter } from "./model.ts";
import { OPS_DIALECT, type Reply } from "./protocol.ts";
import type { Result } from "./result.ts";
import type { Changes } from "./rooms/changes.ts";
import { OpsRoom } from "./rooms/ops-room.ts";
import { CommChannel } from "./transport/channel.ts";
import { endpointsOf } from "./transport/endpoint.ts";
import { RoomLink } from "./transport/open.ts";
import type { RowActions } from "./views/action-bar.ts";
import { OpsBar } from "./views/ops-bar.ts";
import { type ScanTable, WINDOW_ROWS } from "./views/scan-table.ts";

/** Where a table's rows come from. */
export interface TableSource {
  bar: { node: HTMLElement };
  room: OpsRoom;
  traits: TraitWriter;
  /** What can be done with its rows; null: nothing. */
  actions: RowActions | null;
  /** The table that the bar's counts lead to, and that is told of each second. */
  attend(table: ScanTable): void;
  /** Begins; called when the view is in the page. */
  connect(): void;
}

export interface OpsLink extends TableSource {
  bar: OpsBar;
  actions: RowActions;
  /** The room is reached: what is asked now goes out. */
  readonly live: boolean;
}

/** `linked` is called when the room is reached or lost. */
export function opsLink(
  { model, signal, tickets }: MountOptions,
  title: string,
  draw: (changes: Changes) => void,
  linked: () => void = () => {},
): OpsLink {
  const traits = new TraitWriter(model, signal);
  let link: RoomLink | null = null;
  let live = false;
  const room = new OpsRoom(
    (frame) => link?.send(frame) ?? false,
    (changes) => {
      draw(changes);
      bar.draw(room.store);
      traits.write("counts", room.store.counts());
      if (room.store.role) {
        traits.write("role", room.store.role);
        // A kernel knows who its person is; the host's own page asks for it.
        if (model.get("name") !== undefined) traits.write("name", room.store.name);
        // What a role may not do is not offered; the room decides all the same.
        bar.node.closest(".pw-ops")?.setAttribute("data-role", room.store.role);
      }
    },
    signal,
  );
  const bar = new OpsBar(title, {
    scan: () => room.ask("scan", { checks: [], labels: {} }),
    retry: () => link?.restart(),
    stale() {
      attended?.toggleStale();
      tick();
    },
  });

  let attended: ScanTable | null = null;
  const tick = () => {
    if (live) attended?.tick();
    bar.staleOnly(attended?.staleOnly ?? false);
  };
  const ticking = setInterval(() => {
    if (!document.hidden) tick();
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(ticking));

  const each = async (rows: string[], ask: (fingerprint: string) => Promise<Reply>): Promise<Reply> => {
    const replies = await Promise.all(rows.map(ask));
    return replies.find(({ ok }) => !ok) ?? replies[0] ?? { id: "", ok: false, error: "nothing is selected" };
  };
  const actions: RowActions = {
    ack: (fingerprints, reason, until) =>
      // A reason that is null withdraws the ack.
      each(fingerprints, (fingerprint) => room.ask("ack", { fingerprint, reason, until })),
    silence: (fingerprints, reason, until) =>
      each(fingerprints, (fingerprint) =>
        room.ask("silence", { matchers: matchersFor(room.store.rows.get(fingerprint), fingerprint), until, reason }),
      ),
    lift(fingerprints) {
      const ids = new Set(fingerprints.map((fingerprint) => room.store.rows.get(fingerprint)?.suppression?.id ?? ""));
      return each([...ids], async (id) => {
        const silence = room.store.silences.get(id);
        if (!silence) return { id: "", ok: false, error: "this page does not know that silence: load it again" };
        return room.ask("silence", { matchers: silence.matchers, until: null, reason: "" });
      });
    },
    recheck: (fingerprints) => room.ask("recheck", { fingerprints }),
  };

  return {
    bar,
    room,
    traits,
    actions,
    get live() {
      return live;
    },
    attend(table) {
      attended = table;
    },
    connect() {
      const channel = new CommChannel(model, signal, tickets);
      const query = (model.get("_query") ?? {}) as Record<string, string>;
      link = new RoomLink(
        {
          endpoints: endpointsOf(model.get("_endpoints")),
          party: String(model.get("_party") ?? "ops-monitor-broadcast"),
          room: String(model.get("_room") ?? "main"),
          dialect: OPS_DIALECT,
          // A larger board is looked at by windows.
          query: () => ({ ...query, window: String(WINDOW_ROWS) }),
        },
        channel,
        {
          state(state, reason) {
            if (live && state !== "open") room.closed();
            live = state === "open";
            bar.link(state, reason);
            traits.write("state", state === "open" ? "live" : state);
            linked();
          },
          opened() {
            if (!link?.needsTickets) return;
            // For the day on which the connection is lost while a cell holds the kernel up.
            void room.ask("ticket", {}).then(({ ok, result }) => ok && link?.resume(String((result as { ticket: unknown }).ticket)));
          },
          text: (message) => room.text(message),
          binary() {},
          delay(transport, delay, why) {
            bar.delay(transport, delay, why);
            traits.write("transport", transport ?? "");
          },
        },
        signal,
      );
    },
  };
}

/** A silence of one row names its check and its target, so that it outlives the result and spares the check's other targets. */
function matchersFor(row: Result | undefined, fingerprint: string): Record<string, string> {
  return row ? { check_id: row.check_id, target: row.target } : { fingerprint };
}

/** Selection and view set from Python. */
export function followModel(
  { model, signal }: MountOptions,
  table: ScanTable,
  selected: (fingerprints: string[]) => void = () => {},
): void {
  const selection = () => {
    const fingerprints = (model.get("selection") as string[] | undefined) ?? [];
    if (JSON.stringify(fingerprints) === JSON.stringify(table.selection)) return;
    table.select(fingerprints);
    selected(fingerprints);
  };
  const view = () => table.setView(model.get("view"));
  model.on("change:selection", selection);
  model.on("change:view", view);
  signal.addEventListener("abort", () => {
    model.off("change:selection", selection);
    model.off("change:view", view);
  });
  selection();
}
