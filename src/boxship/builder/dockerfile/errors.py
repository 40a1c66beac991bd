"""The one way a Dockerfile is wrong: a line and a reason."""

from boxship.errors import InvalidArgumentError


class DockerfileError(InvalidArgumentError):
    """A Dockerfile that cannot be read; the text is the one Docker's clients know.

    Attributes:
        line: 1-based line the instruction starts on, 0 for the file as a whole.
        reason: the message without the position.
    """

    def __init__(self, reason: str, line: int = 0, *, hint: str = "") -> None:
        place = f"dockerfile parse error on line {line}: " if line else "dockerfile parse error: "
        super().__init__(place + reason, hint=hint)
        self.reason = reason
        self.line = line
