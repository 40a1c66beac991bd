"""Which base image a name asks for."""

from collections.abc import Callable

from boxship.errors import InvalidArgumentError
from boxship.image.bootstrap.base import Base, Halt
from boxship.image.bootstrap.busybox import bootstrap_busybox
from boxship.image.bootstrap.debian import SUITES, bootstrap_debian
from boxship.image.context import Context
from boxship.image.progress import Reporter
from boxship.model.image import Image
from boxship.model.reference import parse_reference


def plan(context: Context, name: str, reporter: Reporter, halt: Halt) -> Callable[[], Image]:
    """The work that makes a base image.

    Raises:
        InvalidArgumentError: no such base image can be made.
    """
    ref = parse_reference(name)
    tagged = ref.with_default_tag()
    base = Base(reporter, tagged.familiar(), halt)
    if ref.familiar_name == "busybox":
        return lambda: bootstrap_busybox(context, base, tagged)
    suite = ref.tag or SUITES[0]
    if ref.familiar_name == "debian" and suite in SUITES:
        return lambda: bootstrap_debian(context, base, suite, tagged)
    known = ", ".join([*(f"debian:{one}" for one in SUITES), "busybox"])
    raise InvalidArgumentError(f"no base image {name!r} can be made here", hint=f"choose: {known}")
