/** How long a check took, over the results this page saw: a line for the eye, a sentence for everybody. */
import type uPlot from "uplot";
import type { Point } from "../rooms/series.ts";
import { addStyles, element, setText } from "./element.ts";
import { clock, duration } from "./status.ts";
import { palette, watchTheme } from "./theme.ts";

const HEIGHT = 96;
/** A step so many times the usual one is a time in which nobody looked. */
const GAP = 5;
/** Between two attempts at a bundle that did not come. */
const AGAIN_MS = 5000;

/** The bundle `chart.ts`. */
export interface ChartBundle {
  uPlot: typeof uPlot;
  styles: string;
}
/** Brings it; `attempt` counts the failures before. */
export type LoadChart = (attempt: number) => Promise<ChartBundle>;

export class LatencyChart {
  readonly node: HTMLElement;
  #canvas = element("div", { class: "pw-chart", "aria-hidden": "true" });
  #words = element("div", { class: "pw-muted pw-small pw-number" });
  #plot: uPlot | null = null;
  #points: readonly Point[] = [];
  #load: LoadChart;
  #signal: AbortSignal;
  #bundle: ChartBundle | null = null;
  #attempt = 0;
  /** When the bundle may be asked for, of `performance.now()`; infinite while it is on its way. */
  #askAt = Number.NEGATIVE_INFINITY;

  constructor(load: LoadChart, signal: AbortSignal) {
    this.#load = load;
    this.#signal = signal;
    this.node = element("div", {}, this.#canvas, this.#words);
    const observer = new ResizeObserver(() => this.#resize());
    observer.observe(this.#canvas);
    watchTheme(() => this.#rebuild(), signal);
    signal.addEventListener("abort", () => {
      observer.disconnect();
      this.#plot?.destroy();
    });
  }

  draw(points: readonly Point[]): void {
    this.#points = points;
    setText(this.#words, sentence(points));
    this.#canvas.hidden = points.length < 2;
    if (points.length < 2) return;
    if (this.#plot) this.#plot.setData(columns(points));
    else this.#rebuild();
  }

  /** The words stand there without it. One that does not come is asked for again when there is more to draw. */
  async #fetch(): Promise<void> {
    if (performance.now() < this.#askAt) return;
    this.#askAt = Number.POSITIVE_INFINITY;
    try {
      const bundle = await this.#load(this.#attempt);
      if (this.#signal.aborted) return;
      addStyles(this.#canvas, "chart", bundle.styles);
      this.#bundle = bundle;
      this.#rebuild();
    } catch (error) {
      this.#attempt++;
      this.#askAt = performance.now() + AGAIN_MS;
      console.debug("partywidgets: no lines for now:", error);
    }
  }

  #resize(): void {
    const width = this.#canvas.clientWidth;
    if (width <= 0) return;
    if (this.#plot) this.#plot.setSize({ width, height: HEIGHT });
    else this.#rebuild();
  }

  #rebuild(): void {
    const root = this.#canvas.closest<HTMLElement>(".pw");
    const width = this.#canvas.clientWidth;
    if (!root || width <= 0 || this.#points.length < 2) return;
    if (!this.#bundle) {
      void this.#fetch();
      return;
    }
    this.#plot?.destroy();
    const { muted, border, accent } = palette(root);
    const font = `10px ${getComputedStyle(root).fontFamily}`;
    const axis = { stroke: muted, font, grid: { stroke: border, width: 1 }, ticks: { show: false } };
    this.#plot = new this.#bundle.uPlot(
      {
        width,
        height: HEIGHT,
        padding: [6, 8, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_plot, _min, max) => [0, Math.max(max * 1.1, 0.1)] } },
        axes: [
          { ...axis, size: 18, space: 70, values: (_plot, ticks) => ticks.map((tick) => clock(tick * 1000).slice(0, 8)) },
          { ...axis, size: 52, space: 26, values: (_plot, ticks) => ticks.map((tick) => (tick === 0 ? "0" : duration(tick))) },
        ],
        series: [{}, { stroke: accent, width: 1.5, points: { show: this.#points.length < 40, size: 4, fill: accent } }],
      },
      columns(this.#points),
      this.#canvas,
    );
  }
}

/** Times and durations; a time without looks is a gap in the line, which would tell of durations that nobody saw. */
export function columns(points: readonly Point[]): [number[], (number | null)[]] {
  const steps = points.slice(1).map(({ at }, index) => at - points[index]!.at);
  const usual = [...steps].sort((a, b) => a - b)[steps.length >> 1] ?? 0;
  const [times, durations]: [number[], (number | null)[]] = [[], []];
  points.forEach(({ at, durationMs }, index) => {
    const step = index > 0 ? steps[index - 1]! : 0;
    if (step > GAP * usual) {
      times.push((at - step / 2) / 1000);
      durations.push(null);
    }
    times.push(at / 1000);
    durations.push(durationMs);
  });
  return [times, durations];
}

/** What the line shows, in words. */
export function sentence(points: readonly Point[]): string {
  if (points.length === 0) return "no duration yet";
  const sorted = points.map(({ durationMs }) => durationMs).sort((a, b) => a - b);
  const last = points[points.length - 1]!.durationMs;
  if (points.length === 1) return `${duration(last)}; the line begins with the next result`;
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
  return `last ${duration(last)}, median ${duration(at(0.5))}, p95 ${duration(at(0.95))}, max ${duration(sorted[sorted.length - 1]!)} of ${points.length} since ${clock(points[0]!.at)}`;
}
