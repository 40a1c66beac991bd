"""One verb for several objects: every one is tried, failures are told together."""

from boxship.errors import BoxshipError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from boxship.cli.app import App


def each(
    app: "App", names: "list[str]", act: "Callable[[str], object]", *, echo: bool = True
) -> int:
    """Do something to each name, printing the names that worked; 1 when one failed."""
    code = 0
    for name in names:
        try:
            act(name)
        except BoxshipError as error:
            app.err(f"Error response from daemon: {error}")
            code = 1
        else:
            if echo:
                app.out(name)
    return code
