"""`--format`: the part of Go's text/template that Docker's users write.

`{{.Names}}`, `{{json .}}`, `{{index .Labels "a"}}`, `{{range $k, $v := .Map}}`, `{{if eq .A "b"}}`,
`{{with .X}}`, `{{else}}`, pipelines, and Docker's functions (join, lower, upper, title, split,
truncate, println).
"""

from boxship.cli.flags import UsageError
from boxship.cli.format.functions import FUNCTIONS, show, truth
from boxship.cli.format.tokens import Token, blocks, tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Variables = dict[str, Any]
    Node = tuple[Any, ...]

_CLOSING = ("end", "else")


class Template:
    """A parsed template, to be rendered for many values.

    Raises:
        UsageError: it cannot be parsed.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        parts = list(blocks(text))
        self._nodes, closing = _parse(parts)
        if closing is not None:
            raise UsageError(f"template parsing error: unexpected {{{{{closing}}}}}")

    def render(self, value: "Any") -> str:
        """The text for one value.

        Raises:
            UsageError: it names a field that the value has not, or calls what is no function.
        """
        out: list[str] = []
        _run(self._nodes, value, {"$": value}, out)
        return "".join(out)


def _parse(parts: "list[tuple[str, bool]]") -> "tuple[list[Node], str | None]":
    """Nodes up to the next `end` or `else`, which is given back."""
    nodes: list[Node] = []
    while parts:
        text, code = parts.pop(0)
        if not code:
            nodes.append(("text", text))
            continue
        word, _, rest = text.partition(" ")
        if word in _CLOSING:
            return nodes, text
        if word in ("range", "if", "with"):
            nodes.append(_block(word, rest.strip(), parts))
        elif not text.startswith("/*"):
            nodes.append(("action", *_assignment(text)))
    return nodes, None


def _block(word: str, rest: str, parts: "list[tuple[str, bool]]") -> "Node":
    body, closing = _parse(parts)
    otherwise: list[Node] = []
    if closing is not None and closing.startswith("else"):
        chained = closing[4:].strip()
        if chained.startswith(("if ", "with ")):
            kind, _, condition = chained.partition(" ")
            otherwise, closing = [_block(kind, condition.strip(), parts)], "end"
        else:
            otherwise, closing = _parse(parts)
    if closing != "end":
        raise UsageError(f"template parsing error: {{{{{word}}}}} without {{{{end}}}}")
    return (word, *_assignment(rest), body, otherwise)


def _assignment(text: str) -> "tuple[list[str], list[list[Token]]]":
    """Variables before `:=`, and the pipeline after it."""
    head, assign, tail = text.partition(":=")
    if not assign:
        head, tail = "", text
    names = [name.strip() for name in head.split(",") if name.strip()]
    return names, tokens(tail)


def _run(nodes: "Sequence[Node]", dot: "Any", variables: "Variables", out: "list[str]") -> None:
    for node in nodes:
        if node[0] == "text":
            out.append(node[1])
        elif node[0] == "action":
            value = _pipeline(node[2], dot, variables)
            if node[1]:
                variables[node[1][0]] = value
            else:
                out.append(show(value))
        else:
            _run_block(node, dot, variables, out)


def _run_block(node: "Node", dot: "Any", variables: "Variables", out: "list[str]") -> None:
    word, names, pipeline, body, otherwise = node
    value = _pipeline(pipeline, dot, variables)
    inner = dict(variables)
    if not truth(value):
        _run(otherwise, dot, inner, out)
    elif word == "range":
        for key, item in _items(value):
            if len(names) == 2:
                inner[names[0]], inner[names[1]] = key, item
            elif names:
                inner[names[0]] = item
            _run(body, item, inner, out)
    else:
        if names:
            inner[names[0]] = value
        _run(body, value if word == "with" else dot, inner, out)


def _items(value: "Any") -> "list[tuple[Any, Any]]":
    if isinstance(value, dict):
        return sorted(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    raise UsageError(f"template: range can't iterate over {show(value)}")


def _pipeline(commands: "list[list[Token]]", dot: "Any", variables: "Variables") -> "Any":
    result: list[Any] = []
    for command in commands:
        result = [_command(command, dot, variables, result)]
    return result[0] if result else None


def _command(
    command: "list[Token]", dot: "Any", variables: "Variables", piped: "list[Any]"
) -> "Any":
    head, *rest = command
    if head.kind == "word":
        function = FUNCTIONS.get(head.value)
        if function is None:
            raise UsageError(f'template parsing error: function "{head.value}" not defined')
        arguments = [_value(token, dot, variables) for token in rest]
        try:
            return function(*arguments, *piped)
        except TypeError as error:
            raise UsageError(f"template: wrong arguments for {head.value}: {error}") from error
    if rest or piped:
        raise UsageError(f"template: can't give arguments to {head.value}")
    return _value(head, dot, variables)


def _value(token: "Token", dot: "Any", variables: "Variables") -> "Any":
    if token.kind == "literal":
        return token.value
    if token.kind == "group":
        return _follow(_pipeline(token.value, dot, variables), token.fields)
    if token.kind == "variable":
        if token.value not in variables:
            raise UsageError(f"template parsing error: undefined variable {token.value}")
        return _follow(variables[token.value], token.fields)
    if token.kind == "field":
        return _follow(dot, token.fields)
    return _command([token], dot, variables, [])


def _follow(value: "Any", fields: "Sequence[str]") -> "Any":
    for field in fields:
        if not isinstance(value, dict):
            raise UsageError(f"template: can't evaluate field {field} in {show(value)}")
        value = value[_key(value, field)]
    return value


def _key(value: "dict[str, Any]", field: str) -> str:
    """The field's name in the document: Docker's templates know the Go name too (`.ID` of `Id`)."""
    if field in value:
        return field
    for name in value:
        if name.lower() == field.lower():
            return name
    raise UsageError(f"template: can't evaluate field {field}: it has no such field")
