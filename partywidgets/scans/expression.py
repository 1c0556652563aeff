"""The Common Expression Language as far as conditions need it: text → a function of the values.

The grammar is CEL's (https://github.com/google/cel-spec/blob/master/doc/langdef.md) without message construction; the functions and
macros are those in `FUNCTIONS`, `METHODS` and `MACROS`. Expressions become nested Python closures over plain Python values.

It is no library because none of the three that are kept bounds what a stranger's body may cost. cel-python and
common-expression-language count nothing, cel-expr-python counts items alone. The compiled two hold the interpreter's lock meanwhile, so
every room of the process waits, and end the process on a deeply nested body. docs/topics/conditions.md has what was measured and what would
change this. cel-python is the oracle of the tests.

Differences from CEL: integers do not overflow, `now` is the time of the evaluation, and durations know days (`d`) and weeks (`w`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from ..exceptions import ConfigError
from .cel import FUNCTIONS, MACROS, METHODS, RELATIONS, EvaluationError, arithmetic, pattern, text_method
from .expression_node import (
    Node,
    Run,
    Scope,
    run_binary,
    run_constant,
    run_either,
    run_item,
    run_macro,
    run_name,
    run_picked,
    truth,
)

DEPTH = 60
"""How deep brackets and signs may nest."""


_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*)
      |(?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
      |(?P<int>0[xX][0-9a-fA-F]+[uU]?|\d+[uU]?)
      |(?P<text>[rR]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      |(?P<name>[A-Za-z_]\w*)
      |(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_RESERVED = frozenset("as break const continue else for function if import let loop package namespace return var void while".split())
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?"}


class Parser:
    """Reads one expression. `names` collects the names that it takes from the values; `known` are those that exist (None: any)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: dict[str, int] = {}
        self.tokens: list[tuple[str, str, int]] = []
        self.position = 0
        self.depth = 0
        self.bound: list[str] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                meant = {"=": "==", "&": "&&", "|": "||"}.get(text[at])
                self.fail(f"{text[at]!r} means nothing" + (f", write {meant!r}" if meant else ""), at)
            if found.lastgroup != "blank":
                self.tokens.append((found.lastgroup or "", found[0], at))
            at = found.end()
        self.tokens.append(("end", "", len(text)))

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        """Refuses the expression, naming it and the column (from 1)."""
        column = (self.tokens[self.position][2] if at is None else at) + 1
        raise ConfigError(f"the expression {self.text!r} cannot be read at column {column}: {what}")

    def parse(self) -> Node:
        """The whole expression."""
        node = self.ternary()
        if self.tokens[self.position][0] != "end":
            found = self.tokens[self.position][1]
            self.fail(f"unexpected {found!r}")
        return node

    def accept(self, *signs: str) -> str | None:
        kind, text, _ = self.tokens[self.position]
        if text in signs and kind in ("sign", "name"):
            self.position += 1
            return text
        return None

    def expect(self, sign: str) -> None:
        if self.accept(sign) is None:
            found = self.tokens[self.position][1]
            self.fail(f"expected {sign!r}, got {found!r}" if found else f"expected {sign!r}, got the end")

    def since(self, start: int) -> str:
        """The text from a token to the last one taken."""
        _, text, at = self.tokens[self.position - 1]
        return self.text[self.tokens[start][2] : at + len(text)]

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEPTH:
            self.fail(f"more than {DEPTH} brackets or signs inside each other")

    def ternary(self) -> Node:
        self.deeper()
        start = self.position
        node = self.disjunction()
        if self.accept("?"):
            yes = self.disjunction()
            self.expect(":")
            no = self.ternary()
            test, then, other = truth(node), yes.run, no.run
            node = Node(lambda scope: then(scope) if test(scope) else other(scope), self.since(start), node.leaves + yes.leaves + no.leaves)
        self.depth -= 1
        return node

    def disjunction(self) -> Node:
        return self.logic("||", self.conjunction)

    def conjunction(self) -> Node:
        return self.logic("&&", self.relation)

    def logic(self, sign: str, part: Callable[[], Node]) -> Node:
        start, node = self.position, part()
        while self.accept(sign):
            other = part()
            node = Node(run_either(truth(node), truth(other), sign == "||"), self.since(start), node.leaves + other.leaves)
        return node

    def relation(self) -> Node:
        start, node = self.position, self.addition()
        while sign := self.accept("==", "!=", "<=", ">=", "<", ">", "in"):
            other = self.addition()
            node = Node(run_binary(RELATIONS[sign], node, other), self.since(start), node.leaves + other.leaves)
        return node

    def addition(self) -> Node:
        return self.operations("+-", self.multiplication)

    def multiplication(self) -> Node:
        return self.operations("*/%", self.unary)

    def operations(self, signs: str, part: Callable[[], Node]) -> Node:
        start, node = self.position, part()
        while sign := self.accept(*signs):
            right = part()
            constant = node.constant and right.constant
            node = Node(run_binary(partial(arithmetic, sign), node, right), self.since(start), constant=constant)
        return node

    def unary(self) -> Node:
        start, sign = self.position, self.accept("!", "-")
        if sign is None:
            return self.member()
        self.deeper()
        node = self.unary()
        self.depth -= 1
        if sign == "!":
            test = truth(node)
            return Node(lambda scope: not test(scope), self.since(start), node.leaves)
        run = node.run
        return Node(lambda scope: arithmetic("*", run(scope), -1), self.since(start), constant=node.constant)

    def member(self) -> Node:
        start, node = self.position, self.primary()
        while True:
            if self.accept("["):
                index = self.ternary()
                self.expect("]")
                text = self.since(start)
                node = Node(run_item(node.run, index.run, text), text)
            elif self.accept("."):
                kind, name, at = self.tokens[self.position]
                if kind != "name":
                    self.fail(f"expected a name after the dot, got {name!r}")
                self.position += 1
                if self.accept("("):
                    node = self.method(node, name, at, start)
                else:
                    text = self.since(start)
                    node = Node(run_item(node.run, run_constant(name), text), text)
            else:
                return node

    def method(self, node: Node, name: str, at: int, start: int) -> Node:
        if name in MACROS:
            return self.macro(node, name, start)
        if name not in METHODS:
            self.fail(f"there is no method {name!r}; there are {', '.join([*METHODS, *MACROS])}", at)
        arity, function = METHODS[name]
        arguments = self.arguments()
        if len(arguments) != arity:
            self.fail(f"{name}() takes {arity} argument{'' if arity == 1 else 's'} here, got {len(arguments)}", at)
        receiver = node.run
        if not arguments:
            return Node(lambda scope: function(receiver(scope)), self.since(start))
        argument = arguments[0]
        if name == "matches" and argument.constant:
            try:
                search = pattern(str(argument.run({})))
            except ValueError as error:
                self.fail(str(error), at)
            function = text_method("matches", lambda text, _: search(text))
        return Node(run_binary(function, node, argument), self.since(start), node.leaves + argument.leaves)

    def macro(self, node: Node, name: str, start: int) -> Node:
        kind, variable, at = self.tokens[self.position]
        if kind != "name" or variable in _RESERVED:
            self.fail(f"{name}() takes a variable and an expression", at)
        self.position += 1
        self.expect(",")
        self.bound.append(variable)
        body = self.ternary()
        self.bound.pop()
        self.expect(")")
        text, seen = self.since(start), node.leaves
        note = f" {text}"  # no name begins with a blank
        if len(seen) == 1 and seen[0].run is node.run:
            seen = (Node(run_picked(node.run, note), node.text),)
        return Node(run_macro(name, node.run, variable, body, note), text, seen)

    def arguments(self, closing: str = ")") -> list[Node]:
        """Expressions up to the closing bracket, which is taken too; a trailing comma is allowed only in lists."""
        found: list[Node] = []
        while not self.accept(closing):
            found.append(self.ternary())
            if not self.accept(","):
                self.expect(closing)
                break
        return found

    def primary(self) -> Node:
        start = self.position
        kind, text, at = self.tokens[start]
        self.position += 1
        if kind in ("int", "float", "text"):
            value = self.literal(kind, text, at)
            return Node(lambda _: value, text, constant=True)
        if kind == "name":
            if text in ("true", "false", "null"):
                named = {"true": True, "false": False, "null": None}[text]
                return Node(lambda _: named, text, constant=True)
            if text in _RESERVED or text == "in":
                self.fail(f"{text!r} is a reserved word", at)
            if self.accept("("):
                return self.call(text, at, start)
            if text not in self.bound:
                self.names.setdefault(text, at)
            return Node(run_name(text), text)
        if text == "(":
            node = self.ternary()
            self.expect(")")
            return Node(node.run, self.since(start), node.seen, node.constant)
        if text == "[":
            items = self.arguments("]")
            runs = [item.run for item in items]
            constant = all(item.constant for item in items)
            return Node(lambda scope: [run(scope) for run in runs], self.since(start), constant=constant)
        if text == "{":
            return self.map(start)
        self.position = start
        self.fail(f"expected a value, got {text!r}" if text else "expected a value, got the end")

    def map(self, start: int) -> Node:
        pairs: list[tuple[Run, Run]] = []
        while not self.accept("}"):
            key = self.ternary()
            self.expect(":")
            pairs.append((key.run, self.ternary().run))
            if not self.accept(","):
                self.expect("}")
                break
        return Node(lambda scope: {key(scope): value(scope) for key, value in pairs}, self.since(start))

    def call(self, name: str, at: int, start: int) -> Node:
        if name == "has":
            node = self.ternary()
            self.expect(")")
            if "." not in node.text:
                self.fail(f"has() asks for a field, such as has(body.status), got {node.text!r}", at)
            run = node.run

            def has(scope: Scope) -> bool:
                try:
                    run(scope)
                except EvaluationError:
                    return False
                return True

            return Node(has, self.since(start))
        if name not in FUNCTIONS:
            self.fail(f"there is no function {name!r}; there are {', '.join(['has', *FUNCTIONS])}", at)
        arguments = self.arguments()
        if len(arguments) != 1:
            self.fail(f"{name}() takes one argument, got {len(arguments)}", at)
        function, argument = FUNCTIONS[name], arguments[0]
        if argument.constant:
            try:
                value = function(argument.run({}))
            except EvaluationError as error:
                self.fail(str(error), at)
            return Node(lambda _: value, self.since(start), constant=True)
        run = argument.run
        return Node(lambda scope: function(run(scope)), self.since(start))

    def literal(self, kind: str, text: str, at: int) -> Any:
        if kind == "float":
            return float(text)
        if kind == "int":
            try:
                return int(text.rstrip("uU"), 0 if text[:2].lower() == "0x" else 10)
            except ValueError:
                self.fail(f"a number of {len(text)} digits", at)
        raw = text[0] in "rR"
        body = text[1:] if raw else text
        body = body[3:-3] if body[:3] in ('"""', "'''") and len(body) >= 6 else body[1:-1]
        return body if raw else _ESCAPE.sub(lambda found: self.escape(found, at), body)

    def escape(self, found: re.Match[str], at: int) -> str:
        for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
            if found[group]:
                code = int(found[group], base)
                if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                    self.fail(f"{found[0]!r} is not a character", at)
                return chr(code)
        if found[5] not in _ESCAPES:
            self.fail(f"the escape {found[0]!r} means nothing; write the text as r'…' to keep backslashes", at)
        return _ESCAPES[found[5]]
