/**
 * The updates of a table, made off the page's thread. `raw`: every update is sent as it comes. `room`: as the ops room sends them, the
 * latest of each row every 100 ms, in at most two frames of 256 KiB; what does not fit waits.
 */
const FRAME_BYTES = 256 * 1024 - 1024;
const FRAMES = 2;
/** Rows of one message, about a frame: also when this thread was late. */
const ROWS_AT_ONCE = 250;
const STATUSES = ["ok", "ok", "ok", "ok", "warn", "crit"];
const SEVERITIES = ["info", "low", "medium", "high", "critical"];
const AT = Date.now();

let seq = 0;
let seed = 7;
const random = (below: number) => {
  seed = (seed * 48271) % 2147483647;
  return seed % below;
};

interface Made {
  index: number;
  ms: number;
  text: string;
}

function result(index: number): Made {
  seq++;
  const at = new Date(AT + seq).toISOString();
  const fingerprint = index.toString(16).padStart(16, "0");
  const status = STATUSES[random(STATUSES.length)]!;
  const ms = random(900_000) / 1000;
  const row = {
    schema: "partywidgets.result/1",
    scan_id: "01a21f64-0000-7000-8000-000000000000",
    result_id: `01a21f64-0000-7000-8000-${fingerprint.slice(4)}`,
    seq,
    fingerprint,
    check_id: `service-${index}`,
    check_type: "http",
    target: `https://host-${index % 40}.example/${index}`,
    title: `Service ${index}`,
    status,
    status_code: 0,
    severity: SEVERITIES[index % 5],
    state: { phase: "hard", since: at, attempt: 1, max_attempts: 3, previous: "ok" },
    change: "updated",
    scheduled_at: null,
    started_at: at,
    observed_at: at,
    duration_ms: ms,
    phases_ms: { resolve: 0.1, connect: 0.3, tls: 2, processing: ms, transfer: 0.2 },
    summary: `${status} after ${Math.round(ms)} ms`,
    details: null,
    conditions: [{ expr: "status == 200", ok: status === "ok", actual: 200 }],
    metrics: [{ name: "duration_ms", value: ms, unit: "ms", warn: null, crit: null, min: 0, max: null }],
    evidence: [],
    error: null,
    remediation: null,
    suppression: null,
    labels: { team: ["web", "data", "infra"][index % 3] },
    links: [],
    runner: { host: "bench", version: "1", zone: null },
    ttl_s: null,
  };
  return { index, ms, text: JSON.stringify(row) };
}

interface Order {
  mode: "all" | "raw" | "room" | "stop";
  /** Only with `all`. */
  rows: number;
  /** Updates a second. */
  rate: number;
}

let count = 0;
let timer: ReturnType<typeof setInterval> | undefined;
/** The duration of each row that was sent last. */
let sent = new Float64Array(0);

self.onmessage = ({ data: { mode, rows, rate } }: MessageEvent<Order>) => {
  if (mode === "all") {
    count = rows;
    sent = new Float64Array(rows);
    for (let from = 0; from < rows; from += ROWS_AT_ONCE) send(Array.from({ length: Math.min(ROWS_AT_ONCE, rows - from) }, (_, index) => result(from + index)));
  } else if (mode === "stop") {
    clearInterval(timer);
    self.postMessage(sent);
  } else {
    timer = mode === "raw" ? setInterval(every(rate, raw), 16) : setInterval(every(rate, asRoom(new Map())), 100);
  }
};

function send(rows: Made[]): void {
  for (const { index, ms } of rows) sent[index] = ms;
  self.postMessage(
    `{"type":"check-result","data":{"seq":${seq},"scan_id":"s","done":1,"total":2,"results":[${rows.map(({ text }) => text).join(",")}]}}`,
  );
}

function every(rate: number, tick: (due: number) => void): () => void {
  let owed = 0;
  let last = performance.now();
  return () => {
    const now = performance.now();
    owed += ((now - last) / 1000) * rate;
    last = now;
    const due = Math.floor(owed);
    owed -= due;
    tick(due);
  };
}

function raw(due: number): void {
  for (let left = due; left > 0; left -= ROWS_AT_ONCE) send(Array.from({ length: Math.min(left, ROWS_AT_ONCE) }, () => result(random(count))));
}

function asRoom(pending: Map<number, Made>): (due: number) => void {
  return (due) => {
    for (let made = 0; made < due; made++) {
      const row = result(random(count));
      pending.delete(row.index);
      pending.set(row.index, row);
    }
    for (let frames = 0; frames < FRAMES && pending.size > 0; frames++) {
      let room = FRAME_BYTES;
      const rows: Made[] = [];
      for (const row of pending.values()) {
        room -= row.text.length + 1;
        if (room < 0) break;
        rows.push(row);
      }
      for (const { index } of rows) pending.delete(index);
      send(rows);
    }
  };
}
