import { GIVEN, type OpsStore } from "../rooms/ops-store.ts";

/** Why there is no row: who is not let in, or still waits, has not been told that there are none. */
export function noRows({ epoch, checks }: OpsStore): string {
  if (epoch === null) return "Nothing has come yet";
  if (epoch === GIVEN) return "No results";
  return checks > 0 ? "No results yet" : 'No checks yet: give the host a config, as await pw.ops("partywidgets.yaml") does from a notebook';
}
