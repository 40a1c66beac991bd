"""`--filter key=value` to the API's `filters`."""

from boxship.cli.flags import UsageError
from boxship.client.documents import dumps


def filters(items: "list[str]") -> "str | None":
    """The `filters` parameter; None when there are none.

    Raises:
        UsageError: an item without `=`.
    """
    result: dict[str, dict[str, bool]] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f'invalid argument "{item}" for "--filter" flag: want key=value')
        result.setdefault(key.strip().lower(), {})[value.strip()] = True
    return dumps(result).decode() if result else None
