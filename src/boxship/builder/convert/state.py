"""What is known in the middle of a stage while its instructions are converted."""

import posixpath

import msgspec

from boxship.builder.convert.arguments import PROXY_NAMES, Arguments, expand
from boxship.builder.convert.plan import Step
from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.shell import Expander
from boxship.builder.graph import Graph, Operation
from boxship.errors import InvalidArgumentError
from boxship.model.image import ImageRunConfig
from boxship.model.platform import Platform

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")


class StageState:
    """One stage under conversion; every instruction ends in `file_step` or `metadata_step`.

    Attributes:
        file_system: the vertex whose result the next file operation builds on.
        declared: the ARGs in scope; None when declared without a value.
        last: the vertex of the step before, which a change of the config follows.
        command_set: whether CMD stands in this stage, so that ENTRYPOINT keeps it.
    """

    def __init__(
        self,
        graph: Graph,
        arguments: Arguments,
        *,
        vertex: int,
        config: ImageRunConfig,
        platform: Platform,
        escape: str,
    ) -> None:
        self.graph = graph
        self.arguments = arguments
        self.config = config
        self.platform = platform
        self.escape = escape
        self.author = ""
        self.declared: dict[str, str | None] = {}
        self.command_set = False
        self.file_system = vertex
        self.steps: list[Step] = []
        self.last = vertex

    def inherit(self, base: "StageState") -> None:
        """Take over what a stage passes on to those built from it beside files and config."""
        self.declared = dict(base.declared)
        self.last = base.last

    def environment(self) -> dict[str, str]:
        """The image's environment."""
        return dict(_split(line) for line in self.config.env)

    def variables(self) -> dict[str, str]:
        """What words are expanded with: ENV wins over ARG, as documented."""
        declared = {name: value for name, value in self.declared.items() if value is not None}
        return {**self.arguments.proxies(), **declared, **self.environment()}

    def expand(self, word: str, line: int) -> str:
        return expand(word, self.variables(), self.escape, line)

    def expand_words(self, word: str, line: int) -> list[str]:
        try:
            return Expander(self.variables(), self.escape).words(word)
        except InvalidArgumentError as error:
            raise DockerfileError(error.message, line) from error

    def expand_heredoc(self, body: str, line: int) -> str:
        try:
            return Expander(self.variables(), self.escape).heredoc(body)
        except InvalidArgumentError as error:
            raise DockerfileError(error.message, line) from error

    def absolute(self, path: str) -> str:
        """A path relative to WORKDIR made absolute; a trailing `/` is kept, `..` is resolved."""
        whole = posixpath.join(self.config.working_dir or "/", path)
        # normpath keeps a double slash at the start, as POSIX lets it mean something.
        clean = "/" + posixpath.normpath(whole).lstrip("/")
        is_directory = path.endswith(("/", "/.")) or path in ("", ".")
        return clean + "/" if is_directory and clean != "/" else clean

    def shell(self) -> tuple[str, ...]:
        return self.config.shell or DEFAULT_SHELL

    def run_arguments(self) -> dict[str, str]:
        """ARGs that RUN sees as environment; those that ENV shadows are left out."""
        hidden = self.environment().keys() | PROXY_NAMES
        return {
            name: value
            for name, value in self.declared.items()
            if value is not None and name not in hidden
        }

    def configure(self, **changes: object) -> None:
        self.config = msgspec.structs.replace(self.config, **changes)

    def file_step(
        self, operation: Operation, created_by: str, *, others: tuple[int, ...] = ()
    ) -> None:
        """Add an operation that builds on the file system, and its line of history."""
        self.file_system = self.graph.add(operation, (self.file_system, *others))
        self._step(self.file_system, created_by)

    def metadata_step(self, operation: Operation, created_by: str) -> None:
        """Add an operation that changes the config only."""
        self._step(self.graph.add(operation, (self.last,)), created_by)

    def _step(self, vertex: int, created_by: str) -> None:
        self.last = vertex
        self.steps.append(
            Step(
                text="",
                line=0,
                vertex=vertex,
                config=self.config,
                author=self.author,
                created_by=created_by,
            )
        )


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, value
