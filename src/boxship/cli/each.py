"""One verb for several objects: every one is tried, failures are told together."""

from boxship.errors import BoxshipError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from boxship.cli.app import App


def each(
    app: "App",
    names: "list[str]",
    act: "Callable[[str], object]",
    *,
    echo: bool = True,
    missing_ok: bool = False,
) -> int:
    """Do something to each name, printing the names that worked; 1 when one failed.

    With `missing_ok` a name that does not exist is told but is no failure (`rm --force`).
    """
    code = 0
    for name in names:
        try:
            act(name)
        except BoxshipError as error:
            app.err(f"boxship: {error}")
            if not (missing_ok and isinstance(error, NotFoundError)):
                code = 1
        else:
            if echo:
                app.out(name)
    return code
