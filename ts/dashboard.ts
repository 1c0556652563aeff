/** The bundle of a dashboard. */
export { mount } from "./table.ts";
