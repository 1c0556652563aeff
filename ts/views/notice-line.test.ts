import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { NoticeLine } from "./notice-line.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("says that keys go nowhere until they are taken, or for 20 s", () => {
  const notice = new NoticeLine();
  notice.unheard("ben has control");
  expect(notice.node.textContent).toBe("What you type is not sent: ben has control");
  notice.heard();
  expect(notice.node.textContent).toBe("");
  notice.unheard("ben has control");
  vi.advanceTimersByTime(19_000);
  notice.unheard("the connection is lost");
  vi.advanceTimersByTime(19_000);
  expect(notice.node.textContent).toContain("the connection is lost");
  vi.advanceTimersByTime(1_000);
  expect(notice.node.textContent).toBe("");
});

it("leaves another sentence where it stands", () => {
  const notice = new NoticeLine();
  notice.unheard("ben has control");
  notice.tell("control was not given");
  notice.heard();
  vi.advanceTimersByTime(20_000);
  expect(notice.node.textContent).toBe("control was not given");
});
