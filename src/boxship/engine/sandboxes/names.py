"""The host name of a sandbox."""

import os

from boxship.engine.context import Context
from boxship.engine.sandboxes.modes import modes_of
from boxship.model.container import ContainerConfig, HostConfig

_SHORT = 12


def hostname_of(
    context: Context, container_id: str, config: ContainerConfig, host: HostConfig
) -> str:
    """What was asked for, or the name of whoever shares its namespace, or the short id."""
    if config.hostname:
        return config.hostname
    modes = modes_of(host)
    if modes.network.is_host or modes.uts.is_host:
        return os.uname().nodename
    if modes.network.is_shared:
        return context.store.find(modes.network.other).container.config.hostname
    return container_id[:_SHORT]
