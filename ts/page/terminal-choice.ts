/** Which terminal to look at: its room's name, and for one that nobody has opened yet its sandbox. */
import { element } from "../views/element.ts";

/** `chosen` gets both as they were typed; the sandbox may be "". */
export function terminalChoice(chosen: (room: string, sandbox: string) => void): HTMLFormElement {
  const room = field("pw-room", "Name");
  const sandbox = field("pw-sandbox", "Sandbox, for a new one (default unless you say)");
  const form = element(
    "form",
    { class: "pw-choice", method: "post" },
    element("h2", {}, "Open a terminal"),
    element(
      "p",
      { class: "pw-muted" },
      "A row’s terminal has the name of its sandbox; others have the name that a colleague gave them. What you may do in it is your token’s to say.",
    ),
    ...room.parts,
    ...sandbox.parts,
    element("button", { type: "submit", class: "pw-primary" }, "Open"),
  );
  room.input.required = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    chosen(room.input.value.trim(), sandbox.input.value.trim());
  });
  return form;
}

function field(id: string, label: string): { input: HTMLInputElement; parts: HTMLElement[] } {
  const input = element("input", { type: "text", id, autocomplete: "off", autocapitalize: "off", spellcheck: "false", maxlength: 512 });
  return { input, parts: [element("label", { for: id }, label), input] };
}
