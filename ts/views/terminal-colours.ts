/** xterm's colours by the host's: the sixteen of programs, cursor, selection and scroll bar. */
import type { ITheme } from "@xterm/xterm";
import { contrast as contrastRatio, type Palette, standingOut } from "./theme.ts";

const DARK: ITheme = {
  black: "#2e3436",
  red: "#f2777a",
  green: "#7fc98b",
  yellow: "#e5c07b",
  blue: "#7aa6da",
  magenta: "#c397d8",
  cyan: "#70c0b1",
  white: "#d3d7cf",
  brightBlack: "#8a8f98",
  brightRed: "#ff8f8f",
  brightGreen: "#a5e0ae",
  brightYellow: "#ffe08a",
  brightBlue: "#a3c7f0",
  brightMagenta: "#dcb8f0",
  brightCyan: "#9be3d6",
  brightWhite: "#ffffff",
};
const LIGHT: ITheme = {
  black: "#1f2328",
  red: "#b3261e",
  green: "#1b6e2e",
  yellow: "#7a5200",
  blue: "#0b57b0",
  magenta: "#7b3fa0",
  cyan: "#0f6d75",
  white: "#6e7781",
  brightBlack: "#57606a",
  brightRed: "#c93a31",
  brightGreen: "#2c7d3d",
  brightYellow: "#8a6300",
  brightBlue: "#2a6fc9",
  brightMagenta: "#9150b8",
  brightCyan: "#207f88",
  brightWhite: "#424a53",
};

/** The theme of a terminal in a widget with these colours. */
export function terminalColours(host: Palette): ITheme {
  const { dark, background, foreground, accent, contrast, selection, selectedText } = host;
  return {
    ...(dark ? DARK : LIGHT),
    background,
    foreground,
    cursor: foreground,
    cursorAccent: background,
    // At least 3:1 on the background (WCAG 1.4.11), whatever the theme; the text on it is kept readable by its own contrast.
    selectionBackground: standingOut(contrastRatio(accent, background) >= 3 ? accent : foreground, background),
    selectionInactiveBackground: standingOut(foreground, background),
    scrollbarSliderBackground: dark ? "#ffffff66" : "#00000080",
    scrollbarSliderHoverBackground: dark ? "#ffffff90" : "#000000a0",
    scrollbarSliderActiveBackground: accent,
    ...(contrast && {
      selectionBackground: selection,
      selectionInactiveBackground: selection,
      selectionForeground: selectedText,
      scrollbarSliderBackground: foreground,
      scrollbarSliderHoverBackground: accent,
    }),
    overviewRulerBorder: background,
  };
}
