import { beforeEach, describe, expect, it, vi } from "vitest";
import { soon } from "../testing/kernel.ts";
import { ClipboardConsent } from "./clipboard-consent.ts";

describe("consent to a copy", () => {
  let consent: ClipboardConsent;
  let told: string[];
  let copied: string[];
  const press = (label: string) => [...consent.node.querySelectorAll("button")].find((node) => node.textContent === label)!.click();
  const clipboard = (writeText: (text: string) => Promise<void>) =>
    Object.defineProperty(navigator, "clipboard", { value: { writeText }, configurable: true });

  beforeEach(() => {
    told = [];
    copied = [];
    clipboard(async (text) => void copied.push(text));
    consent = new ClipboardConsent((sentence) => told.push(sentence));
    document.body.replaceChildren(consent.node);
  });

  it("shows the text with its line ends and control characters, as text, and copies nothing by itself", () => {
    consent.ask("<b>rm</b>\n\x1b[2K");
    expect(consent.node.hidden).toBe(false);
    expect(consent.node.querySelector("code")!.textContent).toBe('"<b>rm</b>\\n\\u001b[2K"');
    expect(consent.node.querySelector("b")).toBeNull();
    expect(copied).toEqual([]);
  });

  it("says how long a text is of which it shows the beginning", () => {
    consent.ask("x".repeat(5000));
    expect(consent.node.textContent).toContain("5000 characters");
    expect(consent.node.querySelector("code")!.textContent!.length).toBeLessThan(300);
  });

  it("takes no focus from who types", () => {
    const field = document.createElement("input");
    document.body.append(field);
    field.focus();
    consent.ask("text");
    expect(document.activeElement).toBe(field);
  });

  it("copies no text that took the place of another just before the person agreed", async () => {
    const clock = vi.spyOn(performance, "now").mockReturnValue(1000);
    consent.ask("first");
    consent.ask("second");
    clock.mockReturnValue(1400);
    consent.ask("second");
    press("Copy it");
    expect(told).toEqual(["The text has just changed: look at it, then copy it"]);
    expect(consent.node.hidden).toBe(false);
    clock.mockReturnValue(1600);
    press("Copy it");
    await soon(() => expect(copied).toEqual(["second"]));
    clock.mockRestore();
  });

  it("copies the newest text, once, when the person has seen it and agrees", async () => {
    const clock = vi.spyOn(performance, "now").mockReturnValue(1000);
    consent.ask("first");
    consent.ask("second");
    clock.mockReturnValue(2000);
    press("Copy it");
    clock.mockRestore();
    await soon(() => expect(copied).toEqual(["second"]));
    expect(consent.node.hidden).toBe(true);
  });

  it("copies nothing when the person refuses, and forgets the text", () => {
    consent.ask("first");
    press("Refuse");
    expect(consent.node.hidden).toBe(true);
    expect(copied).toEqual([]);
  });

  it("says so when the browser does not allow it", async () => {
    clipboard(vi.fn().mockRejectedValue(new Error("not allowed")));
    consent.ask("text");
    press("Copy it");
    await soon(() => expect(told).toEqual(["The browser did not allow copying"]));
  });
});
