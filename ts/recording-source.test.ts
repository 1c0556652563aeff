import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { askRecording } from "./recording-source.ts";
import { silent } from "./testing/bar-actions.ts";
import { FakeKernel } from "./testing/kernel.ts";
import { TerminalBar } from "./views/terminal-bar.ts";

const RECORDING = { id: "20261123T110500Z-3f9a", room: "worker-123", commands: [], duration_s: 1, complete: true };
const CAST = '{"version":3}\n[0.1,"o","größer"]\n';

describe("a recording asked of the kernel", () => {
  let kernel: FakeKernel;
  let view: AbortController;
  beforeEach(() => {
    kernel = new FakeKernel();
    view = new AbortController();
  });
  afterEach(() => {
    vi.useRealTimers();
    expect(kernel.handlers("msg:custom")).toBe(0);
  });

  it("comes with its description and its text", async () => {
    kernel.answer = ({ id }) => kernel.push({ op: "recording", id: id!, recording: RECORDING }, CAST);
    expect(await askRecording(kernel, view.signal)).toEqual({ recording: RECORDING, cast: CAST });
    expect(kernel.ops("recording")).toHaveLength(1);
  });

  it("is the answer to this question, not to another view's", async () => {
    const asked = askRecording(kernel, view.signal);
    const [{ id }] = kernel.ops("recording") as [{ id: string }];
    kernel.push({ op: "recording", id: "another", error: "not yours" });
    kernel.push({ op: "recording", id: id!, recording: RECORDING }, CAST);
    expect((await asked).cast).toBe(CAST);
  });

  it("is refused in the kernel's words, or for want of anything in the answer", async () => {
    kernel.answer = ({ id }) =>
      kernel.push({ op: "recording", id: id!, error: "nothing of the terminal worker-123 has been recorded yet" });
    await expect(askRecording(kernel, view.signal)).rejects.toThrow("nothing of the terminal worker-123 has been recorded yet");
    kernel.answer = ({ id }) => kernel.push({ op: "recording", id: id!, recording: RECORDING });
    await expect(askRecording(kernel, view.signal)).rejects.toThrow("the kernel sent no recording");
  });

  it("is given up after 30 s, and when the view closes", async () => {
    vi.useFakeTimers();
    const late = expect(askRecording(kernel, view.signal)).rejects.toThrow("the kernel did not answer within 30 s: is a cell running?");
    await vi.advanceTimersByTimeAsync(30_000);
    await late;
    const closed = expect(askRecording(kernel, view.signal)).rejects.toThrow("the view is closed");
    view.abort();
    await closed;
  });
});

it("the terminal's bar has a button for its recording", () => {
  const recording = vi.fn();
  const bar = new TerminalBar("worker-123", silent({ recording }));
  const button = [...bar.node.querySelectorAll("button")].find(({ textContent }) => textContent === "Recording")!;
  expect(button.title).toBe("Download this terminal's recording");
  button.click();
  expect(recording).toHaveBeenCalledOnce();
});
