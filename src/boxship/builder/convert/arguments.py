"""Build arguments and their scopes (Dockerfile reference, "ARG" and "FROM").

Three sources in the order of strength: what the request gives for a declared name, the default
of the declaration, what an ARG before the first FROM gave. Platform names exist in the global
scope without a declaration; proxy names exist everywhere and never count for the cache.
"""

from collections.abc import Iterable

from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.instructions import Arg
from boxship.builder.dockerfile.shell import Expander
from boxship.errors import InvalidArgumentError
from boxship.model.platform import Platform

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PROXY_NAMES = frozenset(_PROXIES) | {name.lower() for name in _PROXIES}


class Arguments:
    """The request's arguments and the global scope of one Dockerfile."""

    def __init__(self, given: dict[str, str | None], host: Platform, target: Platform) -> None:
        self._given = {name: value for name, value in given.items() if value is not None}
        self._consumed: set[str] = set()
        self._globals: dict[str, str] = {
            **_platform_arguments("BUILD", host),
            **_platform_arguments("TARGET", target),
        }
        for name in self._globals.keys() & self._given.keys():
            self._globals[name] = self._given[name]
            self._consumed.add(name)

    def declare_globals(self, declarations: Iterable[Arg], escape: str) -> None:
        """Take in the ARGs before the first FROM.

        Raises:
            DockerfileError: a default cannot be expanded.
        """
        for declaration in declarations:
            for pair in declaration.pairs:
                default = None
                if pair.value is not None:
                    default = expand(pair.value, self._globals, escape, declaration.line)
                value = self._pick(pair.key, default)
                if value is not None:
                    self._globals[pair.key] = value

    def globals(self) -> dict[str, str]:
        return dict(self._globals)

    def value(self, name: str, default: str | None) -> str | None:
        """The value of an ARG inside a stage; None when nothing gives one."""
        value = self._pick(name, default)
        return self._globals.get(name) if value is None else value

    def proxies(self) -> dict[str, str]:
        """Proxy settings the request gives, for RUN."""
        found = {name: self._given[name] for name in sorted(PROXY_NAMES & self._given.keys())}
        self._consumed |= found.keys()
        return found

    def unconsumed(self) -> list[str]:
        return sorted(self._given.keys() - self._consumed - PROXY_NAMES)

    def _pick(self, name: str, default: str | None) -> str | None:
        self._consumed.add(name)
        return self._given.get(name, default)


def expand(word: str, variables: dict[str, str], escape: str, line: int) -> str:
    """Expand one word; a failure names the Dockerfile's line."""
    try:
        return Expander(variables, escape).word(word)
    except InvalidArgumentError as error:
        raise DockerfileError(error.message, line) from error


def _platform_arguments(prefix: str, platform: Platform) -> dict[str, str]:
    return {
        f"{prefix}PLATFORM": str(platform),
        f"{prefix}OS": platform.os,
        f"{prefix}ARCH": platform.architecture,
        f"{prefix}VARIANT": platform.variant or "",
    }
