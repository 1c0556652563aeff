/** The host's colours as values, for what is painted on a canvas, and word of every change of theme. */

export interface Palette {
  dark: boolean;
  background: string;
  foreground: string;
  muted: string;
  border: string;
  accent: string;
  /** More contrast than a theme's usual is asked for; then `selection` and `selectedText` are its colours for that. */
  contrast: boolean;
  selection: string;
  selectedText: string;
}

/** Puts `pw-contrast` and `pw-dark` on a widget's root as the host's theme is now, and returns its colours. */
export function dress(root: HTMLElement): Palette {
  root.classList.toggle("pw-contrast", highContrast());
  const colours = palette(root);
  root.classList.toggle("pw-dark", colours.dark);
  return colours;
}

/** Reads the computed `--pw-*` variables of an element with the class `pw`. */
export function palette(el: HTMLElement): Palette {
  const style = getComputedStyle(el);
  const probe = document.createElement("span");
  // With forced colours every colour would read as the system's text colour, the background too.
  probe.style.setProperty("forced-color-adjust", "none");
  el.appendChild(probe);
  const read = (name: string, fallback: string): string => {
    // A variable may hold another variable or a name; a property is always computed to rgb().
    probe.style.color = fallback;
    probe.style.color = style.getPropertyValue(name) || fallback;
    return getComputedStyle(probe).color || fallback;
  };
  const background = read("--pw-bg", "#ffffff");
  const result = {
    background,
    foreground: read("--pw-fg", "#1a1a1a"),
    muted: read("--pw-muted", "#616161"),
    border: read("--pw-border", "#d0d0d0"),
    accent: read("--pw-accent", "#1976d2"),
    dark: luminance(background) < 0.4,
    contrast: el.classList.contains("pw-contrast"),
    selection: read("--pw-selection", "#000000"),
    selectedText: read("--pw-selected-fg", "#ffffff"),
  };
  probe.remove();
  return result;
}

/** A mixture of two colours that has a contrast (WCAG 2) of `ratio` with the second, with as little of the first as that takes. */
export function standingOut(color: string, on: string, ratio = 3): string {
  const [over, below] = [channels(color), channels(on)];
  for (let share = 0.25; ; share += 0.05) {
    const mixed = below.map((channel, index) => Math.round(channel + Math.min(share, 1) * (over[index]! - channel)));
    if (share >= 1 || contrastOf(mixed, below) >= ratio) return `rgb(${mixed.join(", ")})`;
  }
}

/** The contrast of two opaque colours as WCAG 2 defines it. */
export function contrast(one: string, other: string): number {
  return contrastOf(channels(one), channels(other));
}

function contrastOf(one: number[], other: number[]): number {
  const [light = 0, dark = 0] = [relativeLuminance(one), relativeLuminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function relativeLuminance(rgb: number[]): number {
  const [r = 0, g = 0, b = 0] = rgb.map((channel) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function channels(color: string): number[] {
  const [r = 255, g = 255, b = 255] = (color.match(/[\d.]+/g) ?? []).map(Number);
  return [r, g, b];
}

function luminance(color: string): number {
  const [r = 255, g = 255, b = 255] = (color.match(/[\d.]+/g) ?? []).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

/** The person asked for more contrast than a theme's usual: of the system, or by a theme of JupyterLab or VS Code made for it. */
function highContrast(): boolean {
  const { jpThemeName = "", vscodeThemeKind = "" } = document.body.dataset;
  return (
    matchMedia("(forced-colors: active)").matches ||
    matchMedia("(prefers-contrast: more)").matches ||
    /high.contrast/i.test(`${jpThemeName} ${vscodeThemeKind}`)
  );
}

/** Calls `changed` when Jupyter, VS Code or the system switches its theme. */
export function watchTheme(changed: () => void, signal: AbortSignal): void {
  let frame = 0;
  const soon = () => {
    cancelAnimationFrame(frame);
    // A theme's stylesheet may land a moment after its name.
    frame = requestAnimationFrame(() => {
      changed();
      setTimeout(() => signal.aborted || changed(), 250);
    });
  };
  const observer = new MutationObserver(soon);
  const attributes = {
    attributes: true,
    attributeFilter: ["class", "style", "data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-kind", "data-theme"],
  };
  observer.observe(document.body, attributes);
  observer.observe(document.documentElement, attributes);
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)"])
    matchMedia(query).addEventListener("change", soon, { signal });
  signal.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  });
}

/** Keeps `pw-dark` and `pw-contrast` on an element as the host's theme goes. */
export function followTheme(root: HTMLElement, signal: AbortSignal): void {
  const apply = () => void dress(root);
  apply();
  watchTheme(apply, signal);
}
