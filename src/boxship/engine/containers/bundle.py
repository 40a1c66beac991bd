"""The OCI bundle of a container while it has a process: one directory with a config.json."""

from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from boxship.engine.context import Context
from boxship.model.container import Container
from boxship.storage.trees import delete_tree

_CONFIG = "config.json"


def write_bundle(
    context: Context, container: Container, spec: dict[str, Any], undo: AsyncExitStack
) -> Path:
    """Write the bundle and give its directory."""
    bundle = context.paths.bundle(container.id)
    bundle.mkdir(parents=True, exist_ok=True, mode=0o700)
    undo.callback(remove_bundle, context, container.id)
    (bundle / _CONFIG).write_bytes(msgspec.json.encode(spec))
    return bundle


def read_process(context: Context, container_id: str) -> dict[str, Any]:
    """The process of a running container's bundle: what its execs start from."""
    spec = msgspec.json.decode((context.paths.bundle(container_id) / _CONFIG).read_bytes())
    process: dict[str, Any] = spec["process"]
    return process


def remove_bundle(context: Context, container_id: str) -> None:
    """Idempotent."""
    bundle = context.paths.bundle(container_id)
    with suppress(FileNotFoundError):
        (bundle / _CONFIG).unlink()
        try:
            bundle.rmdir()
        except OSError:
            # External runtimes have more in it.
            delete_tree(bundle)
