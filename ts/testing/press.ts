/** Presses the button of that name below `node`, with the focus on it as a person's press has. */
export function press(node: Element, name: string): void {
  const button = [...node.querySelectorAll("button")].find((each) => each.getAttribute("aria-label") === name)!;
  button.focus();
  button.click();
}
