"""JupyterLab as a page object: what a person does, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laptop import wait_for
from playwright.sync_api import Locator, Page, expect

LONG = 120_000
HIDE_NEWS = """addEventListener('DOMContentLoaded', () => {
    const style = document.createElement('style');
    style.textContent = '.Toastify { display: none }';
    document.head.append(style);
})"""

STAYS_FOCUSED = """async node => {
    for (let frame = 0; frame < 12; frame++) {
        if (document.activeElement !== node) return false;
        await new Promise(requestAnimationFrame);
    }
    return document.activeElement === node;
}"""


class Lab:
    """One browser tab with JupyterLab. Times are in milliseconds."""

    def __init__(self, page: Page, url: str, token: str) -> None:
        self.page, self.url, self.token = page, url, token
        self.console: list[str] = []
        page.set_default_timeout(LONG)
        # JupyterLab asks a newcomer whether it may fetch news; nobody answers here, and it would cover what is looked at.
        page.add_init_script(HIDE_NEWS)
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))

    def open(self, notebook: str) -> None:
        """Opens a notebook, given relative to the server's root, and waits for its kernel."""
        self.page.goto(f"{self.url}lab/tree/{notebook}?token={self.token}&reset")
        self.wait_ready()

    def wait_ready(self) -> None:
        """Waits until the notebook is drawn and its kernel is idle."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=LONG)
        self.page.wait_for_function("() => window.jupyterapp !== undefined", timeout=LONG)
        self.page.wait_for_function(
            """() => {
                const session = window.jupyterapp.shell.currentWidget?.sessionContext;
                return session && session.isReady && session.session?.kernel?.status === 'idle';
            }""",
            timeout=LONG,
        )

    def command(self, name: str) -> None:
        """Runs a JupyterLab command without waiting for it to end."""
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name); }", name)

    def use_theme(self, theme: str) -> None:
        """Switches JupyterLab to its `light`, `dark` or `dark high contrast` theme."""
        name = f"JupyterLab {theme.title()}"
        self.page.evaluate("async theme => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme }); }", name)
        self.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light", arg=str(theme == "light").lower(), timeout=LONG
        )

    def run_all(self) -> None:
        """Runs all cells and waits until they have ended, the second time too; fails with the error that a cell shows."""
        run = self.page.evaluate_handle(
            """() => {
                const run = { ended: false };
                const end = () => { run.ended = true; };
                window.jupyterapp.commands.execute('notebook:run-all-cells').then(end, end);
                return run;
            }"""
        )
        state = self.page.wait_for_function(
            """run => {
                if (!run.ended) return null;
                const holdsCode = cell => cell.model.type === 'code' && cell.model.sharedModel.getSource().trim() !== '';
                const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(holdsCode);
                for (const cell of cells) {
                    for (let i = 0; i < cell.model.outputs.length; i++) {
                        const output = cell.model.outputs.get(i).toJSON();
                        if (output.output_type === 'error') return `${output.ename}: ${output.evalue}`;
                    }
                }
                const done = cell => cell.model.executionCount !== null && cell.model.executionState !== 'running';
                return cells.every(done) ? 'done' : null;
            }""",
            arg=run,
            timeout=LONG,
        ).json_value()
        assert state == "done", state

    def restart_kernel(self) -> None:
        """Restarts the kernel, as the menu does but without its question."""
        self.page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.restartKernel(); }")

    def save(self) -> None:
        """Saves the notebook and waits until it is saved."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")

    def trust(self) -> None:
        """Trusts the notebook, as the notice in the status bar does, and opens it anew."""
        self.page.evaluate(
            """async () => {
                const model = window.jupyterapp.shell.currentWidget.content.model;
                for (const cell of model.cells) cell.trusted = true;
            }"""
        )
        self.save()
        self.reload()

    def reload(self) -> None:
        """Reloads the page."""
        self.page.evaluate("() => { window.onbeforeunload = null; }")
        self.page.goto(self.page.url.split("?")[0])
        self.wait_ready()

    def run_code(self, code: str, *, wait: bool = True) -> None:
        """Adds a cell below all others with `code` and runs it."""
        self.page.evaluate(
            """async ([code, wait]) => {
                const panel = window.jupyterapp.shell.currentWidget;
                const notebook = panel.content;
                notebook.activeCellIndex = notebook.widgets.length - 1;
                await window.jupyterapp.commands.execute('notebook:insert-cell-below');
                notebook.activeCell.model.sharedModel.setSource(code);
                const done = window.jupyterapp.commands.execute('notebook:run-cell');
                if (wait) await done;
            }""",
            [code, wait],
        )

    @contextmanager
    def busy(self, folder: Path, *, awaits: bool = False) -> Iterator[Path]:
        """Runs a cell that lasts as long as the block: it holds the kernel up, or awaits. Gives a file that is there once it runs."""
        runs, ends = folder / "cell-runs", folder / "cell-ends"
        wait = "await asyncio.sleep(0.05)" if awaits else "time.sleep(0.05)"
        self.run_code(
            f"import asyncio, pathlib, time\npathlib.Path({str(runs)!r}).touch()\n"
            f"while not pathlib.Path({str(ends)!r}).exists():\n    {wait}",
            wait=False,
        )
        try:
            wait_for(runs.exists, "the cell did not begin")
            yield runs
        finally:
            ends.touch()

    def output_of_last(self) -> str:
        """Text of the last cell's outputs, as the notebook has them: a cell that was run has them before it shows them."""
        return str(
            self.page.evaluate(
                """() => {
                    const holdsCode = cell => cell.model.type === 'code';
                    const cell = window.jupyterapp.shell.currentWidget.content.widgets.filter(holdsCode).at(-1);
                    const textOf = ({ text, ename, evalue, data }) =>
                        ename ? `${ename}: ${evalue}` : [text ?? data?.['text/plain'] ?? ''].flat().join('');
                    return cell.model.outputs.toJSON().map(textOf).join('\\n');
                }"""
            )
        )

    def terminals(self) -> Locator:
        """The terminals in the notebook."""
        return self.page.locator(".pw-terminal")

    def screen(self, index: int = 0) -> Locator:
        """The rows of a terminal's screen, as text."""
        return self.terminals().nth(index).locator(".xterm-rows")

    def type(self, text: str, index: int = 0) -> None:
        """Types into a terminal, once it takes what is typed."""
        terminal = self.terminals().nth(index)
        expect(terminal).to_have_attribute("data-state", "live", timeout=LONG)
        self._keep_focus(terminal.locator(".xterm-helper-textarea"), terminal.locator(".xterm").click)
        self.page.keyboard.type(text, delay=5)

    def focus(self, target: Locator) -> None:
        """Gives an element the focus, which stays there."""
        self._keep_focus(target, target.focus)

    def _keep_focus(self, target: Locator, take: Callable[[], None]) -> None:
        """The notebook takes the focus back while it scrolls to a cell that was just run: keys would go to it, as commands."""
        for _ in range(100):
            take()
            if target.evaluate(STAYS_FOCUSED):
                break
        expect(target).to_be_focused()

    def expect_screen(self, text: str, index: int = 0, timeout: int = LONG) -> None:
        """Waits until a terminal shows `text`; in view, since xterm draws nothing for an eye that cannot see it."""
        self.terminals().nth(index).scroll_into_view_if_needed(timeout=LONG)
        expect(self.screen(index)).to_contain_text(text, timeout=timeout)

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """Runs JavaScript in the page."""
        return self.page.evaluate(script, argument)
