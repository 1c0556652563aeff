/** The form that asks for a token. Knows no network, and keeps nothing. */
import { element, setText } from "./element.ts";

export interface SignInActions {
  /** Tries a token; resolves with why it was not taken, or "" when it was. */
  enter(token: string): Promise<string>;
}

export class SignIn {
  readonly node: HTMLFormElement;
  #field: HTMLInputElement;
  #submit = element("button", { type: "submit", class: "pw-primary pw-enter" }, "Sign in");
  #help = element("details");
  #said = element("p", { class: "pw-sign-in-said", id: "pw-sign-in-said", role: "alert" });

  /** `host` is its name, for people; `why` a sentence that says why they are here again, or "". */
  constructor(host: string, why: string, actions: SignInActions) {
    this.#field = element("input", {
      type: "password",
      id: "pw-token",
      autocomplete: "current-password",
      autocapitalize: "off",
      spellcheck: "false",
      "aria-describedby": "pw-sign-in-said pw-sign-in-kept",
    });
    this.node = element(
      "form",
      { class: "pw-sign-in", method: "post", novalidate: true, "aria-labelledby": "pw-sign-in-title" },
      element("h1", { id: "pw-sign-in-title" }, "Sign in to ", element("span", { class: "pw-host" }, host)),
      element("label", { for: "pw-token" }, "Token"),
      // No field has a name: what no script takes is sent nowhere.
      element("input", { type: "text", hidden: true, autocomplete: "username", value: host, tabindex: -1 }),
      element("div", { class: "pw-sign-in-row" }, this.#field, this.#submit),
      this.#said,
      element(
        "p",
        { class: "pw-muted", id: "pw-sign-in-kept" },
        "It is kept in this tab’s memory alone: you are asked again after a reload, and nothing stays on this machine.",
      ),
      this.#help,
    );
    this.#help.append(
      element("summary", {}, "Where do I get a token?"),
      element("p", {}, "From whoever runs this host. They find the owner’s where the host was started:"),
      element("pre", {}, "partywidgets serve CONFIG --token-file FILE\ncat FILE"),
      element("p", {}, "Without ", code("--token-file"), " it is printed once, among the first lines."),
      element("p", {}, "For a colleague they make one, and name it in the config under ", code("auth.tokens"), ":"),
      element("pre", {}, "partywidgets token --file mara.token"),
    );
    this.#tell(why);
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#enter(actions);
    });
  }

  focus(): void {
    this.#field.focus();
  }

  async #enter({ enter }: SignInActions): Promise<void> {
    if (this.#submit.disabled) return;
    const token = this.#field.value.trim();
    if (token === "") {
      this.#refuse("Paste the token: it is one line without blanks");
      return;
    }
    this.#submit.disabled = true;
    this.#tell("");
    const reason = await enter(token);
    this.#submit.disabled = false;
    if (reason === "") this.#field.value = "";
    else this.#refuse(reason);
  }

  #refuse(reason: string): void {
    this.#tell(reason);
    this.#help.open = true;
    this.#field.setAttribute("aria-invalid", "true");
    this.#field.focus();
    this.#field.select();
  }

  #tell(sentence: string): void {
    this.#field.removeAttribute("aria-invalid");
    setText(this.#said, sentence);
  }
}

function code(text: string): HTMLElement {
  return element("code", {}, text);
}
