/** Elements from TypeScript: text enters the DOM as text. */

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | EventListener>;

/** `element("button", {class: "pw-x", title: "…", onclick: fn}, "text")`. `false`, `null` and `undefined` leave an attribute out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.replace(/^on/, ""), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets text only when it changes, so that a live region speaks once and a selection survives. */
export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Puts a stylesheet once into the document, or into the shadow root that holds `el` (marimo). */
export function addStyles(el: HTMLElement, name: string, css: string): void {
  const root = el.getRootNode();
  const home: ParentNode & Node = root instanceof ShadowRoot ? root : document.head;
  if (home.querySelector(`style[data-pw="${name}"]`)) return;
  const style = element("style", { "data-pw": name });
  style.textContent = css;
  home.appendChild(style);
}

/** Puts text into the clipboard; false when the browser does not allow it. */
export async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Saves text as a file. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
