"""What the operator decides for all containers of one daemon."""

import msgspec

from boxship.model.container import LogConfig


class EngineSettings(msgspec.Struct, frozen=True):
    """Defaults of one engine.

    Attributes:
        log: driver and options of containers that choose none.
        runtimes: command lines of external OCI runtimes by the names that `--runtime` accepts.
        userns: give containers a user namespace of their own; off on kernels without id-mapped
            mounts, as the daemon probes.
        stop_grace: seconds between the stop signal and SIGKILL.
        shm_size: bytes of /dev/shm.
        cgroup_parent: control group above all containers; containers may choose another.
    """

    log: LogConfig = LogConfig("json-file", {"max-size": "10m", "max-file": "3"})
    runtimes: dict[str, tuple[str, ...]] = {}
    default_runtime: str = "boxship"
    init: bool = False
    userns: bool = True
    stop_grace: int = 10
    shm_size: int = 64 << 20
    cgroup_parent: str = "/boxship"
    labels: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
