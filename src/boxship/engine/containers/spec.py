"""The OCI runtime document of a container."""

from typing import Any

from boxship.engine.containers import merge
from boxship.engine.containers.check import security_options
from boxship.engine.containers.limits import linux_resources, unified_host
from boxship.engine.containers.network import INTERFACE_SYSCTLS
from boxship.engine.context import Context
from boxship.engine.sandboxes.files import files_of
from boxship.engine.sandboxes.sandbox import Sandbox
from boxship.model.container import Container, MountPoint
from boxship.model.mount import Mount
from boxship.runtime.spec.generate import SpecOptions, generate_spec


def container_spec(
    context: Context, container: Container, sandbox: Sandbox, mounts: tuple[MountPoint, ...]
) -> dict[str, Any]:
    """The document for a container in its sandbox, with its mounts' sources ready.

    Raises:
        InvalidArgumentError: a capability, device rule, limit or seccomp profile means nothing.
        NotFoundError: a device does not exist.
    """
    config, host = container.config, container.host
    security = security_options(host.security_opt)
    own = {mount.target for mount in mounts}
    files = (_file(*one) for one in files_of(context, container) if one[0] not in own)
    return generate_spec(
        SpecOptions(
            argv=(container.path, *container.args),
            env=merge.process_env(config),
            cwd=config.working_dir or "/",
            user=config.user,
            groups=host.group_add,
            tty=config.tty,
            console_size=(host.console_height, host.console_width),
            init=context.settings.init if host.init is None else host.init,
            hostname=config.hostname,
            domainname=config.domainname,
            mounts=(*files, *map(_mount, mounts)),
            cap_add=host.cap_add,
            cap_drop=host.cap_drop,
            privileged=host.privileged,
            no_new_privileges=security.no_new_privileges,
            read_only=host.read_only_root,
            resources=linux_resources(host.resources, unified=unified_host()),
            rlimits=host.ulimits,
            devices=host.devices,
            device_rules=host.device_cgroup_rules,
            namespaces=_namespaces(sandbox),
            cgroup=f"{host.cgroup_parent or context.settings.cgroup_parent}/{container.id}",
            seccomp=security.seccomp or "default",
            sysctls=_sysctls(host.sysctls),
            shm_size=host.shm_size,
            oom_score_adj=host.oom_score_adj or None,
            masked_paths=host.masked_paths,
            readonly_paths=host.readonly_paths,
            user_base=sandbox.user_base,
            annotations=host.annotations,
        )
    )


def _namespaces(sandbox: Sandbox) -> dict[str, str]:
    kinds = ("network", "pid", "ipc", "uts", "cgroup")
    modes = sandbox.modes
    hosts = {kind: "host" for kind in kinds if getattr(modes, kind).is_host}
    if not sandbox.user_base:
        hosts["user"] = "host"
    return {**hosts, **sandbox.paths}


def _sysctls(sysctls: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in sysctls.items() if not k.startswith(INTERFACE_SYSCTLS)}


def _file(target: str, source: str) -> Mount:
    return Mount("bind", source, target, ("rbind", "rprivate", "x-boxship.idmap"))


def _mount(point: MountPoint) -> Mount:
    if point.type == "tmpfs":
        words = ["nosuid", "nodev", "noexec", *point.tmpfs_options.split(",")]
        options = (*filter(None, words), *(("ro",) if point.read_only else ()))
        return Mount("tmpfs", "tmpfs", point.target, options)
    # The mounts below a read-only one are read-only too, as with Docker since version 25.
    access = ("ro", "rro") if point.read_only else ("rw",)
    options = ("rbind", point.propagation or "rprivate", *access, "x-boxship.idmap")
    return Mount("bind", point.source, point.target, options)
