/** The last day by the hour: a bar whose lower part is the share of good looks, with a sign where some were bad, and a sentence. */
import type { Hour } from "../ops-protocol.ts";
import { element } from "./element.ts";
import { STATUS_ICONS } from "./status.ts";

const HOUR_MS = 3_600_000;
const HOURS = 24;

/** Hours in which nobody looked are gaps. */
export function uptimeBars(hours: readonly Hour[]): HTMLElement {
  const known = new Map(hours.map((hour) => [Math.floor(Date.parse(hour.begin) / HOUR_MS), hour]));
  const last = Math.max(...known.keys());
  const bars = element("div", { class: "pw-uptime", "aria-hidden": "true" });
  for (let index = last - HOURS + 1; index <= last; index++) bars.append(bar(known.get(index), index * HOUR_MS));
  return element("div", {}, bars, element("div", { class: "pw-muted pw-small pw-number" }, uptimeSentence(hours)));
}

/** `99.2 % of 1234 looks were ok or warn; 2 of 24 hours had failures`. */
export function uptimeSentence(hours: readonly Hour[]): string {
  const sum = (field: "looks" | "skip" | "ok" | "warn") => hours.reduce((total, hour) => total + hour[field], 0);
  const looks = sum("looks") - sum("skip");
  if (looks <= 0) return "nobody looked";
  const failing = hours.filter(({ uptime }) => uptime !== null && uptime < 1).length;
  const failures = failing === 0 ? "no failure" : `failures in ${failing} of ${hours.length} ${hours.length === 1 ? "hour" : "hours"}`;
  return `${percent((sum("ok") + sum("warn")) / looks)} of ${looks} ${looks === 1 ? "look" : "looks"} ok or warn, ${failures}`;
}

function bar(hour: Hour | undefined, at: number): HTMLElement {
  const time = new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const uptime = hour?.uptime ?? null;
  if (!hour || uptime === null) return element("span", { class: "pw-hour", title: `${time}: nobody looked` });
  const status = uptime < 1 ? "crit" : hour.warn > 0 ? "warn" : "ok";
  const node = element("span", { class: `pw-hour pw-hour-${status}`, title: `${time}: ${percent(uptime)} of ${hour.looks - hour.skip}` });
  const filled = element("span", { class: "pw-hour-filled" });
  filled.style.height = `${Math.round(uptime * 100)}%`;
  node.append(filled);
  if (status !== "ok") node.append(element("span", { class: "pw-hour-sign" }, STATUS_ICONS[status]));
  return node;
}

/** Never rounded up to 100: one failure in ten thousand is seen. */
function percent(share: number): string {
  return share === 1 ? "100 %" : `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
}
