# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of measures: text -> tree -> exact number.

A formula is ordinary arithmetic (`+ - * /`, brackets, `sqrt`) over markers, written with
underscores: `alpha`, `alpha.limit` (its upper limit), `alpha.previous` (its previous test) and
`age` (completed years). Python's own parser reads it and every node must be on the list below, so
nothing can be executed.
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["value", "limit", "previous"]
Operator: TypeAlias = Literal["+", "-", "*", "/"]

_PARTS: dict[str, Part] = {"limit": "limit", "previous": "previous"}
_OPERATORS: dict[type[ast.operator], Operator] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}
_LONGEST = 500  # characters, so that no tree is too deep to walk
_CHARACTERS = re.compile(r"[A-Za-z0-9_.+*/() -]*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ROOT_DIGITS = 40  # an irrational root cut here still falls on the right side of any written bound


@dataclass(frozen=True, slots=True)
class Input:
    """A value that the formula reads; `marker` is `age` for the patient's age in years."""

    marker: str
    part: Part = "value"


@dataclass(frozen=True, slots=True)
class Operation:
    """Two parts joined by an operator."""

    operator: Operator
    left: "Term"
    right: "Term"


@dataclass(frozen=True, slots=True)
class Root:
    """The square root of a part."""

    of: "Term"


Term: TypeAlias = Fraction | Input | Operation | Root


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as written and as a tree, with every input in the order of reading."""

    written: str
    term: Term
    inputs: tuple[Input, ...]

    def value(self, read: Callable[[Input], Fraction | None]) -> Fraction | None:
        """The exact result, or `None` if an input is missing or a division is by zero."""
        return _value(self.term, read)


def read_formula(text: str) -> Formula:
    """The formula written in `text`; raises `ValueError` with what is wrong and what to write."""
    message = "not arithmetic: use + - * / ( ) sqrt() over markers"
    if len(text) > _LONGEST or not _CHARACTERS.fullmatch(text):
        raise ValueError(message)
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(message) from error
    term = _term(tree.body, text)
    return Formula(text, term, _inputs(term))


def _term(node: ast.expr, text: str) -> Term:
    match node:
        case ast.Constant() if _NUMBER.fullmatch(ast.get_source_segment(text, node) or ""):
            return Fraction(ast.get_source_segment(text, node) or "")
        case ast.Name(id=name):
            return Input(name.replace("_", "-"))
        case ast.Attribute(value=ast.Name(id=name), attr=part) if part in _PARTS:
            return Input(name.replace("_", "-"), _PARTS[part])
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return Operation(_OPERATORS[type(operator)], _term(left, text), _term(right, text))
        case ast.Call(func=ast.Name(id="sqrt"), args=[inner], keywords=[]):
            return Root(_term(inner, text))
        case _:
            part = ast.get_source_segment(text, node) or text
            message = f"'{part}' is not allowed: use + - * / ( ) sqrt() over markers"
            raise ValueError(message)


def _inputs(term: Term) -> tuple[Input, ...]:
    match term:
        case Input():
            return (term,)
        case Operation(left=left, right=right):
            return _inputs(left) + _inputs(right)
        case Root(of=of):
            return _inputs(of)
        case _:
            return ()


def _value(term: Term, read: Callable[[Input], Fraction | None]) -> Fraction | None:
    match term:
        case Fraction():
            return term
        case Input():
            return read(term)
        case Root(of=of):
            inner = _value(of, read)
            return None if inner is None or inner < 0 else square_root(inner)
        case Operation(operator=operator, left=left, right=right):
            first, second = _value(left, read), _value(right, read)
            return None if first is None or second is None else _apply(operator, first, second)


def _apply(operator: Operator, left: Fraction, right: Fraction) -> Fraction | None:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return None if right == 0 else left / right


def square_root(number: Fraction) -> Fraction:
    """The square root: exact where it is rational, else cut after 40 digits."""
    top, bottom = isqrt(number.numerator), isqrt(number.denominator)
    if top * top == number.numerator and bottom * bottom == number.denominator:
        return Fraction(top, bottom)
    scale = 10**_ROOT_DIGITS
    return Fraction(isqrt(number.numerator * scale * scale // number.denominator), scale)
