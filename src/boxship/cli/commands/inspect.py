"""`boxship inspect`: everything about containers, images, networks and volumes."""

import json

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed, UsageError
from boxship.errors import InvalidArgumentError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App

_PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}


def inspect(app: "App", parsed: Parsed) -> int:
    """Print documents; 1 when an object was not found."""
    kind = parsed.text("type")
    if kind and kind not in _PATHS:
        raise UsageError(f'"{kind}" is not a valid value for --type')
    return show(app, parsed, (kind,) if kind else tuple(_PATHS))


def show(app: "App", parsed: Parsed, kinds: "tuple[str, ...]") -> int:
    """Look every name up among `kinds` and print what was found in the wanted format."""
    found, missing = [], []
    for name in parsed.args:
        document = _find(app, name, kinds, size="size" in parsed.given)
        if document is None:
            missing.append(name)
        else:
            found.append(document)
    layout = parsed.text("format")
    if layout and layout != "json":
        from boxship.cli.format.template import Template  # noqa: PLC0415 - few calls need it

        template = Template(layout)
        for document in found:
            app.out(template.render(document))
    elif layout == "json":
        app.out(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
    else:
        app.out(json.dumps(found, indent=4, ensure_ascii=False))
    what = kinds[0] if len(kinds) == 1 else "object"
    for name in missing:
        app.err(f"Error: No such {what}: {name}")
    return 1 if missing else 0


def _find(app: "App", name: str, kinds: "tuple[str, ...]", *, size: bool) -> "Any":
    for kind in kinds:
        query = {"size": True} if size and kind == "container" else None
        try:
            return app.call("GET", _PATHS[kind].format(name), query)
        except NotFoundError:
            continue
        except InvalidArgumentError as error:
            # The name of a container or volume may be no name of an image.
            if len(kinds) > 1 and "invalid reference format" in error.message:
                continue
            raise
    return None


COMMAND = Command(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on objects",
    inspect,
    (
        Flag("format", "text", "Format output using a template, or json", short="f"),
        Flag("size", "bool", "Display total file sizes if the type is container", short="s"),
        Flag("type", "text", "Return JSON for the specified type"),
    ),
    args=(1, None),
)
