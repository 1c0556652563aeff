/** The page of a host, `partywidgets serve`'s or a Jupyter Server's: signs in, and shows the widgets' own views without a notebook. */
import type { MountOptions, PushedTicket, WidgetModel } from "./model.ts";
import { Credential, NotKnown } from "./page/credential.ts";
import { hostModel } from "./page/host-model.ts";
import { keepPlace, takePlace } from "./page/kept-place.ts";
import { type Place, readPlace, writePlace } from "./page/place.ts";
import { boardTitle, dressTab, standingOf } from "./page/tab.ts";
import { TerminalChoice } from "./page/terminal-choice.ts";
import type { Counts } from "./result.ts";
import baseStyles from "./styles/base.css";
import pageStyles from "./styles/page.css";
import type { TerminalBundle } from "./terminal-pane.ts";
import type { Endpoint } from "./transport/endpoint.ts";
import { addStyles, element, setText } from "./views/element.ts";
import { SignIn } from "./views/sign-in.ts";
import { followTheme } from "./views/theme.ts";

const OPS = "ops-monitor-broadcast";
const TERMINALS = "terminal-server";
const BOARD = "main";
/** Of the thirty that a ticket is good for. */
const PUSHED_MS = 28_000;
/** Lines of a terminal before it is laid out: then it has what the window leaves. */
const ROWS = 24;

const ROOT = new URL(".", location.href).href;
const HOST = location.host + new URL(ROOT).pathname.replace(/\/$/, "");
/** Where a Jupyter Server lets people in that it does not know yet. */
const LOGIN = document.body.dataset.login;
/** In a Jupyter Server its login lets people in, on sockets too. */
const IN_JUPYTER = document.body.dataset.baseUrl !== undefined;
const NO_SIGN_IN = IN_JUPYTER || document.body.dataset.signIn === "none";
const ENDPOINT: Endpoint = IN_JUPYTER ? { kind: "server", host_id: "" } : { kind: "remote", host_id: "", url: ROOT };
const ENDED = NO_SIGN_IN
  ? "This host asks for a token now: it was started anew with authentication."
  : "Your token opens nothing here any more: it was ended, it has expired, or the host was started with others. Sign in with another one.";

/** Another bundle from beside this one. */
function load(name: string, attempt = 0): Promise<unknown> {
  return import(new URL(name + (attempt ? `?${attempt}` : ""), import.meta.url).href);
}

/** Shows the form; `why` says why somebody is here again. */
function askToken(why: string): void {
  const form = new SignIn(HOST, why, {
    async enter(token) {
      const credential = new Credential(ROOT, token);
      try {
        const { ticket } = await credential.ticket(OPS, BOARD);
        signedIn(credential, [{ ticket, until: performance.now() + PUSHED_MS }]);
        return "";
      } catch (error) {
        if (!(error instanceof NotKnown)) return (error as Error).message;
        return "This host does not know that token. Copy it whole, in one line: below stands where it is kept.";
      }
    },
  });
  dressTab(`sign in · ${HOST}`, "unknown");
  const page = shell(new AbortController().signal);
  page.append(element("main", { class: "pw-page-main" }, form.node));
  form.focus();
}

/** An empty page in the colours of the person's system. */
function shell(signal: AbortSignal): HTMLElement {
  const page = element("div", { class: "pw pw-page" });
  document.body.replaceChildren(page);
  followTheme(page, signal);
  return page;
}

/** The page of somebody whom the host has let in, until they leave or are no longer known. */
function signedIn(credential: Credential, tickets: PushedTicket[]): void {
  const session = new AbortController();
  const { signal } = session;
  const leave = (why: string) => {
    if (signal.aborted) return;
    session.abort();
    askToken(why);
  };
  credential.refused = () => leave(ENDED);
  const page = shell(signal);
  const name = element("span", { class: "pw-name", title: "What others see you as" });
  const role = element("span", { class: "pw-muted pw-role", title: "What you may do here" });
  const links = [navLink("Checks", "#"), navLink("Terminals", "#terminal")];
  const main = element("main", { class: "pw-page-main", tabindex: -1 });
  page.append(
    element(
      "header",
      { class: "pw-page-head" },
      element("h1", {}, HOST),
      element("nav", { "aria-label": "Views" }, ...links),
      element("span", { class: "pw-space" }),
      element("span", { class: "pw-who" }, name, role),
      NO_SIGN_IN
        ? null
        : element("button", { type: "button", class: "pw-primary", onclick: () => leave("You are signed out.") }, "Sign out"),
    ),
    main,
  );

  let view: AbortController | null = null;
  let board: WidgetModel | null = null;
  const begin = () => {
    view?.abort();
    view = new AbortController();
    board = null;
    setText(role, "");
    page.classList.remove("pw-filled");
    main.replaceChildren();
    return AbortSignal.any([signal, view.signal]);
  };
  /** Whoever was called by a name is still called so in the next view. */
  const known = (called: string) => {
    if (called !== "") setText(name, called);
  };
  /** A view whose code did not come: after an upgrade of the host it has another address. */
  const failed = (error: unknown, until: AbortSignal) => {
    if (until.aborted) return;
    console.error("partywidgets:", error);
    const again = element("button", { type: "button", class: "pw-primary", onclick: () => location.reload() }, "Reload");
    main.replaceChildren(element("p", { role: "alert" }, "This view could not be loaded: the host is away, or was upgraded. ", again));
  };

  const showBoard = async (check: string) => {
    const until = begin();
    const model = hostModel(
      {
        _endpoints: [ENDPOINT],
        _party: OPS,
        _room: BOARD,
        _query: {},
        _options: { title: "Operations", height: Math.max(screen.height, 600) },
        selection: [],
        check,
        name: "",
      },
      (party, room) => credential.ticket(party, room),
    );
    board = model;
    const tell = () => {
      const [counts, live] = [(model.get("counts") ?? {}) as Partial<Counts>, model.get("state") === "live"];
      if (until.aborted) return;
      dressTab(boardTitle(counts, live, HOST), standingOf(counts, live));
      setText(role, String(model.get("role") ?? ""));
      known(String(model.get("name")));
    };
    for (const trait of ["counts", "state", "role", "name"]) model.on(`change:${trait}`, tell);
    // The address is a link to what is looked at, for whoever copies it.
    model.on("change:selection", () => {
      const selection = model.get("selection") as string[];
      if (!until.aborted) history.replaceState(null, "", writePlace({ view: "checks", check: selection.at(-1) ?? "" }) || ROOT);
    });
    tell();
    try {
      const { mount } = (await load("dashboard.js")) as { mount(options: MountOptions): void };
      if (until.aborted) return;
      mount({ model, el: main, signal: until, tickets: tickets.splice(0), load });
      // Who just signed in goes on by keyboard from the rows; whoever came by a link in the page stays on it.
      if (document.activeElement === document.body) main.querySelector<HTMLElement>("[role=grid]")?.focus();
    } catch (error) {
      failed(error, until);
    }
  };

  const showTerminal = async (room: string, sandbox: string) => {
    const until = begin();
    if (room === "") {
      dressTab("terminals", "unknown");
      const choice = new TerminalChoice(
        {
          list: () => credential.terminals(),
          open(chosen, inside) {
            location.hash = writePlace({ view: "terminal", room: chosen, sandbox: inside });
          },
          role: (held) => setText(role, held),
        },
        until,
      );
      main.append(choice.node);
      choice.focus();
      return;
    }
    dressTab(`${room} · terminal`, "unknown");
    page.classList.add("pw-filled");
    fill(page, until);
    try {
      const { openTerminal } = (await load("terminal.js")) as TerminalBundle;
      if (until.aborted) return;
      const model = hostModel({ _endpoints: [ENDPOINT], _party: TERMINALS, _room: room, _options: {} }, (party, name) =>
        credential.ticket(party, name),
      );
      const pane = openTerminal({
        model,
        el: main,
        signal: until,
        room,
        query: sandbox === "" ? {} : { sandboxId: sandbox },
        view: {
          fontSize: 13,
          rows: ROWS,
          scrollback: 10_000,
          screenReader: false,
          pasteWithCtrlV: true,
        },
        changed(state, status) {
          dressTab(`${state === "live" ? "" : `${state}: `}${room} · terminal`, "unknown");
          setText(role, status.role);
          known(status.people.find(({ connection }) => connection === status.connection)?.name ?? "");
        },
      });
      pane.focus();
    } catch (error) {
      failed(error, until);
    }
  };

  const go = (place: Place) => {
    links.forEach((link, index) => {
      if ((place.view === "checks") === (index === 0)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
    if (place.view === "terminal") void showTerminal(place.room, place.sandbox);
    else if (board) board.set("check", place.check);
    else void showBoard(place.check);
  };
  const moved = ({ newURL }: HashChangeEvent) => {
    const place = readPlace(new URL(newURL).hash);
    // A row that was chosen on the board just then has put itself into the address: whoever went elsewhere goes there.
    if (readPlace(location.hash).view !== place.view) history.replaceState(null, "", writePlace(place) || ROOT);
    go(place);
  };
  window.addEventListener("hashchange", moved, { signal });
  go(readPlace(location.hash));
}

/** Keeps a page as high as the window without the keyboard that a phone lays over it, so that the shell's last line is in view. */
function fill(page: HTMLElement, signal: AbortSignal): void {
  const seen = window.visualViewport;
  if (!seen) return;
  const follow = () => {
    // Pinched larger, it is a part of the page that is looked at.
    if (seen.scale > 1.01) return;
    page.style.setProperty("--pw-seen", `${Math.floor(seen.height)}px`);
    window.scrollTo(0, 0);
  };
  follow();
  seen.addEventListener("resize", follow, { signal });
}

function navLink(words: string, href: string): HTMLAnchorElement {
  return element("a", { href }, words);
}

/** Where somebody wanted to go before they logged in. A browser may have no `sessionStorage` for us: then they are on the board. */
function comeBack(): void {
  try {
    const place = takePlace(sessionStorage, ROOT);
    if (place !== "" && location.hash === "") history.replaceState(null, "", place);
  } catch (error) {
    console.debug("partywidgets: no place was kept:", error);
  }
}

function goToLogin(login: string): void {
  try {
    keepPlace(sessionStorage, ROOT, location.hash);
  } catch (error) {
    console.debug("partywidgets: the place is not kept:", error);
  }
  location.replace(login);
}

if (LOGIN !== undefined) goToLogin(LOGIN);
else {
  addStyles(document.body, "base", baseStyles);
  addStyles(document.body, "page", pageStyles);
  if (IN_JUPYTER) comeBack();
  if (NO_SIGN_IN) signedIn(new Credential(ROOT, null, { cookie: IN_JUPYTER }), []);
  else askToken("");
}
