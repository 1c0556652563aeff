/** Ten thousand rows in a grid, sorted by a column that changes: our table, Tabulator, AG Grid and Perspective, fed by the same worker. */
import { AllCommunityModule, createGrid, type GridApi, ModuleRegistry } from "ag-grid-community";
import { TabulatorFull } from "tabulator-tables";
import tabulatorStyles from "tabulator-tables/dist/css/tabulator.min.css";
import { OpsRoom } from "../../ts/rooms/ops-room.ts";
import baseStyles from "../../ts/styles/base.css";
import tableStyles from "../../ts/styles/table.css";
import type { RowActions } from "../../ts/views/action-bar.ts";
import { addStyles } from "../../ts/views/element.ts";
import { ScanTable } from "../../ts/views/scan-table.ts";

interface Row {
  fingerprint: string;
  title: string;
  status: string;
  severity: string;
  target: string;
  summary: string;
  duration_ms: number;
  observed_at: string;
}
interface Grid {
  /** The rows that there are at first; not given: they come as frames. */
  fill?(texts: string[]): void;
  frame(text: string): void;
  /** The durations that are drawn, from the top. */
  drawn(): [fingerprint: string, duration: number][];
  /** Says when everything that came is in the grid. */
  idle(): boolean;
}
interface Step {
  rate: number;
  fps: number;
  longest: number;
  longTasks: number;
  looks: number;
  unsorted: number;
  right: boolean;
}

const FIELDS: (keyof Row)[] = ["status", "severity", "title", "target", "summary", "duration_ms", "observed_at"];
let grid: Grid;
let feed: Worker;

function rowsOf(text: string): Row[] {
  return (JSON.parse(text) as { data: { results: Row[] } }).data.results;
}

/** A cell's text as milliseconds. */
function milliseconds(text: string): number {
  return Number.parseFloat(text);
}

function ours(holder: HTMLElement): Grid {
  addStyles(holder, "base", baseStyles);
  addStyles(holder, "table", tableStyles);
  holder.className = "pw pw-ops";
  const room = new OpsRoom(
    () => true,
    (changes) => {
      drawnAt = performance.now();
      table.draw(changes);
    },
    new AbortController().signal,
  );
  let cameAt = 0;
  let drawnAt = 0;
  const actions = {} as RowActions;
  const table = new ScanTable(room.store, 480, { sort: ["-duration_ms"] }, { selection() {}, open() {}, view() {}, window: async () => ({ id: "", ok: true }), rows: async () => ({ id: "", ok: true }), actions });
  holder.append(table.node);
  table.open(new AbortController().signal);
  return {
    frame(text) {
      cameAt = performance.now();
      room.text(text);
    },
    drawn() {
      const top = holder.querySelector(".pw-head")!.getBoundingClientRect().bottom;
      const column = [...holder.querySelectorAll("[role=columnheader]")].findIndex((node) => node.textContent?.startsWith("Duration"));
      return [...holder.querySelectorAll<HTMLElement>(".pw-row")]
        .filter((row) => row.getBoundingClientRect().top >= top - 1)
        .map((row) => [row.dataset.fingerprint!, milliseconds(row.children[column]!.textContent!)]);
    },
    idle: () => drawnAt > cameAt && performance.now() - drawnAt > 100,
  };
}

/** As one first writes it: `updateOrAddData`, which leaves the rows where they are; or with a sort after each batch. */
function tabulator(holder: HTMLElement, sorted: boolean): Grid {
  addStyles(holder, "tabulator", tabulatorStyles);
  const table = new TabulatorFull(holder, {
    index: "fingerprint",
    height: 480,
    layout: "fitColumns",
    columns: FIELDS.map((field) => ({ title: field, field, sorter: field === "duration_ms" ? "number" : "string" })),
    initialSort: [{ column: "duration_ms", dir: "desc" }],
  });
  const built = new Promise<void>((resolve) => table.on("tableBuilt", () => resolve()));
  let busy = false;
  let waiting = new Map<string, Row>();
  // A batch every 100 ms, the latest of each row: with every message its page does not come to an end.
  setInterval(async () => {
    if (busy || waiting.size === 0) return;
    busy = true;
    const rows = [...waiting.values()];
    waiting = new Map();
    await table.updateOrAddData(rows);
    if (sorted) table.setSort("duration_ms", "desc");
    busy = false;
  }, 100);
  return {
    fill(texts) {
      busy = true;
      void built
        .then(() => table.setData(texts.flatMap(rowsOf)))
        .then(() => {
          busy = false;
        });
    },
    frame(text) {
      for (const row of rowsOf(text)) waiting.set(row.fingerprint, row);
    },
    drawn() {
      const top = holder.querySelector(".tabulator-header")!.getBoundingClientRect().bottom;
      return [...holder.querySelectorAll<HTMLElement>(".tabulator-row")]
        .filter((row) => row.getBoundingClientRect().top >= top - 1)
        .map((row) => {
          const { fingerprint } = table.getRow(row as never)?.getData() ?? { fingerprint: "" };
          return [fingerprint as string, milliseconds(row.querySelector('[tabulator-field="duration_ms"]')!.textContent!)];
        });
    },
    idle: () => !busy && waiting.size === 0,
  };
}

function agGrid(holder: HTMLElement): Grid {
  ModuleRegistry.registerModules([AllCommunityModule]);
  holder.style.height = "480px";
  let settled = true;
  const api: GridApi<Row> = createGrid<Row>(holder, {
    columnDefs: FIELDS.map((field) => ({ field, flex: 1, sort: field === "duration_ms" ? ("desc" as const) : null })),
    getRowId: ({ data }) => data.fingerprint,
    deltaSort: true,
    rowHeight: 25,
    animateRows: false,
    rowData: [],
    onAsyncTransactionsFlushed: () => {
      settled = true;
    },
  });
  const known = new Set<string>();
  return {
    frame(text) {
      const latest = new Map<string, Row>();
      for (const row of rowsOf(text)) latest.set(row.fingerprint, row);
      const rows = [...latest.values()];
      const add = rows.filter(({ fingerprint }) => !known.has(fingerprint));
      const update = rows.filter(({ fingerprint }) => known.has(fingerprint));
      for (const { fingerprint } of add) known.add(fingerprint);
      settled = false;
      api.applyTransactionAsync({ add, update });
    },
    drawn() {
      return [...holder.querySelectorAll<HTMLElement>("[role=row][row-id]")]
        .sort((a, b) => Number(a.getAttribute("row-index")) - Number(b.getAttribute("row-index")))
        .map((row) => [row.getAttribute("row-id")!, milliseconds(row.querySelector('[col-id="duration_ms"]')!.textContent!)]);
    },
    idle: () => settled,
  };
}

interface PerspectiveTable {
  update(rows: object[]): Promise<void>;
}
interface PerspectiveViewer extends HTMLElement {
  load(table: PerspectiveTable): Promise<void>;
  restore(look: object): Promise<void>;
  flush(): Promise<void>;
}

/** As its own builds come, with the engine in a worker; an indexed table and the datagrid sorted by a column. */
async function perspective(holder: HTMLElement): Promise<Grid> {
  const from = (path: string) => import(new URL(`perspective/${path}`, location.href).href);
  await from("viewer/dist/cdn/perspective-viewer.js");
  await from("viewer-datagrid/dist/cdn/perspective-viewer-datagrid.js");
  const { default: client } = await from("client/dist/cdn/perspective.js");
  const columns = ["fingerprint", ...FIELDS] as (keyof Row)[];
  const schema = Object.fromEntries(columns.map((field) => [field, field === "duration_ms" ? "float" : "string"]));
  const table = (await (await client.worker()).table(schema, { index: "fingerprint" })) as PerspectiveTable;
  const viewer = document.createElement("perspective-viewer") as PerspectiveViewer;
  const styles = document.createElement("link");
  styles.rel = "stylesheet";
  styles.href = "perspective/viewer/dist/css/pro.css";
  document.head.append(styles);
  viewer.style.cssText = "display: block; position: relative; height: 480px";
  holder.append(viewer);
  await viewer.load(table);
  await viewer.restore({ plugin: "Datagrid", columns, sort: [["duration_ms", "desc"]], settings: false });
  let pending = 0;
  return {
    frame(text) {
      pending++;
      const rows = rowsOf(text).map((row) => Object.fromEntries(columns.map((field) => [field, row[field]])));
      void table
        .update(rows)
        .then(() => viewer.flush())
        .then(() => {
          pending--;
        });
    },
    drawn() {
      const plugin = viewer.querySelector("perspective-viewer-datagrid")!;
      const place = columns.indexOf("duration_ms");
      return [...(plugin.shadowRoot ?? plugin).querySelectorAll("tbody tr")].map((row) => {
        const cells = [...row.querySelectorAll("td")].map(({ textContent }) => textContent ?? "");
        return [cells[0]!, milliseconds((cells[place] ?? "").replaceAll(",", ""))];
      });
    },
    idle: () => pending === 0,
  };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function settle(): Promise<void> {
  const begin = performance.now();
  while (!grid.idle() && performance.now() - begin < 30_000) await wait(50);
  await wait(300);
}

/** True when the rows at the top are those that a sort of everything that was sent gives. */
async function isRight(): Promise<boolean> {
  const sent = await new Promise<Float64Array>((resolve) => {
    feed.onmessage = ({ data }: MessageEvent<string | Float64Array>) => (typeof data === "string" ? grid.frame(data) : resolve(data));
    feed.postMessage({ mode: "stop" });
  });
  await settle();
  const sorted = [...sent].sort((a, b) => b - a);
  const drawn = grid.drawn().slice(0, 15);
  // Durations may be equal, so it is these that are compared, by the fingerprints drawn.
  return drawn.length === 15 && drawn.every(([fingerprint], index) => sent[Number.parseInt(fingerprint, 16)] === sorted[index]);
}

/** Puts the rows into a grid. */
async function begin(peer: "ours" | "tabulator" | "sorted" | "ag-grid" | "perspective", rows: number): Promise<boolean> {
  const holder = document.body.appendChild(document.createElement("div"));
  if (peer === "ours") grid = ours(holder);
  else if (peer === "perspective") grid = await perspective(holder);
  else grid = peer === "ag-grid" ? agGrid(holder) : tabulator(holder, peer === "sorted");
  feed = new Worker("table_feed.js");
  const texts: string[] = [];
  await new Promise<void>((resolve) => {
    feed.onmessage = ({ data }: MessageEvent<string>) => {
      texts.push(data);
      if (texts.length === Math.ceil(rows / 250)) resolve();
    };
    feed.postMessage({ mode: "all", rows });
  });
  if (grid.fill) grid.fill(texts);
  else for (const text of texts) grid.frame(text);
  await settle();
  return isRight();
}

/** Updates for some seconds, after one to warm up. */
async function step(rate: number, seconds: number, mode: "raw" | "room"): Promise<Step> {
  const tasks: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) tasks.push(duration);
  });
  observer.observe({ type: "longtask" });
  feed.onmessage = ({ data }: MessageEvent<string>) => grid.frame(data);
  feed.postMessage({ mode, rate });
  await wait(1000);
  tasks.length = 0;
  let count = 0;
  let running = true;
  const frame = () => {
    count++;
    if (running) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const from = performance.now();
  let [looks, unsorted] = [0, 0];
  while (performance.now() - from < seconds * 1000) {
    await wait(Math.min(997, seconds * 1000));
    looks++;
    const durations = grid.drawn().map(([, duration]) => duration);
    if (durations.some((duration, index) => index > 0 && durations[index - 1]! < duration)) unsorted++;
  }
  running = false;
  const fps = (count / (performance.now() - from)) * 1000;
  for (const { duration } of observer.takeRecords()) tasks.push(duration);
  observer.disconnect();
  return { rate, fps, longest: Math.max(0, ...tasks), longTasks: tasks.length, looks, unsorted, right: await isRight() };
}

Object.assign(window, { tableBench: { begin, step } });
