"""From a Dockerfile to an image."""

from boxship.builder.request import BuildEvent, BuildRequest, CommandFailedError

__all__ = ["BuildEvent", "BuildRequest", "CommandFailedError"]
