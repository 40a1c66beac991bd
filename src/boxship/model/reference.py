"""Image references: `[domain/]path[:tag][@digest]`, with Docker's short forms.

The grammar is that of the distribution specification; the defaults (`docker.io`, `library/`,
`latest`) are Docker's.
"""

import re

import msgspec

from boxship.errors import InvalidArgumentError
from boxship.model.digest import Digest, parse_digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_MAX_NAME = 255
_SHOWN = 300

_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")


class Reference(msgspec.Struct, frozen=True):
    """A normalised reference: the domain is always there, the tag or digest may not be."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """Repository with its domain: `docker.io/library/debian`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """Repository as Docker shows it: `debian`, `user/app`, `host:5000/app`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    def familiar(self) -> str:
        """The whole reference as Docker shows it."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        suffix = f":{self.tag}" if self.tag is not None else ""
        return suffix + (f"@{self.digest}" if self.digest is not None else "")

    def with_default_tag(self) -> "Reference":
        """The same reference, tagged `latest` when it names neither tag nor digest."""
        if self.tag is not None or self.digest is not None:
            return self
        return Reference(self.domain, self.path, DEFAULT_TAG)


def parse_reference(text: str) -> Reference:
    """Normalise a reference that a user typed.

    Raises:
        InvalidArgumentError: the text is no reference; the message starts with Docker's
            `invalid reference format`.
    """
    rest, at, digest_text = text.partition("@")
    digest = _digest(digest_text, text) if at else None
    tag: str | None = None
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    if colon >= 0:
        rest, tag = rest[:colon], rest[colon + 1 :]
        if _TAG.fullmatch(tag) is None:
            raise _invalid(text)
    domain, path = _split_domain(rest)
    if _DOMAIN.fullmatch(domain) is None or len(rest) > _MAX_NAME:
        raise _invalid(text)
    if path != path.lower():
        raise InvalidArgumentError(
            f"invalid reference format: repository name ({path}) must be lowercase"
        )
    if not path or any(_COMPONENT.fullmatch(part) is None for part in path.split("/")):
        raise _invalid(text)
    return Reference(domain, path, tag, digest)


def _split_domain(name: str) -> tuple[str, str]:
    head, slash, tail = name.partition("/")
    is_domain = "." in head or ":" in head or head == "localhost" or head.lower() != head
    if not slash or not is_domain:
        path = name if slash else f"library/{name}"
        return DEFAULT_DOMAIN, path
    domain = DEFAULT_DOMAIN if head == "index.docker.io" else head
    if domain == DEFAULT_DOMAIN and "/" not in tail:
        tail = f"library/{tail}"
    return domain, tail


def _digest(text: str, whole: str) -> Digest:
    try:
        return parse_digest(text)
    except InvalidArgumentError as error:
        raise _invalid(whole) from error


def _invalid(text: str) -> InvalidArgumentError:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return InvalidArgumentError(f"invalid reference format: {shown!r}")
