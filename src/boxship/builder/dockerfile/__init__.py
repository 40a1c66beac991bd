"""The Dockerfile language: text to instructions."""

from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.ignore import IgnoreRules, parse_ignore
from boxship.builder.dockerfile.instructions import Dockerfile
from boxship.builder.dockerfile.lint import lint
from boxship.builder.dockerfile.parser import parse, parse_instructions

__all__ = [
    "Dockerfile",
    "DockerfileError",
    "IgnoreRules",
    "lint",
    "parse",
    "parse_ignore",
    "parse_instructions",
]
