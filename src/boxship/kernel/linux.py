"""The running kernel, as `boxship.kernel.api.Kernel` describes it."""

from boxship.kernel import (
    capabilities,
    files,
    identity,
    idmap,
    interfaces,
    mounts,
    namespaces,
    probe,
    process,
    safepath,
    seccomp,
    tty,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from boxship.kernel.scheduling import Schedule


class LinuxKernel:
    """Every method is one function of this package; holds nothing."""

    __slots__ = ()

    probe = staticmethod(probe.probe)

    mount = staticmethod(mounts.mount)
    umount = staticmethod(mounts.umount)
    pivot_root = staticmethod(mounts.pivot_root)
    open_tree = staticmethod(mounts.open_tree)
    move_mount = staticmethod(mounts.move_mount)
    mount_setattr = staticmethod(mounts.mount_setattr)
    fsopen = staticmethod(mounts.fsopen)
    fsconfig = staticmethod(mounts.fsconfig)
    fscreate = staticmethod(mounts.fscreate)
    fsmount = staticmethod(mounts.fsmount)
    fspick = staticmethod(mounts.fspick)
    fsreconfigure = staticmethod(mounts.fsreconfigure)

    unshare = staticmethod(namespaces.unshare)
    setns = staticmethod(namespaces.setns)
    namespace_kind = staticmethod(namespaces.kind_of)
    sethostname = staticmethod(namespaces.sethostname)
    setdomainname = staticmethod(namespaces.setdomainname)
    set_interface_up = staticmethod(interfaces.set_up)

    clone = staticmethod(process.clone)
    pidfd_open = staticmethod(process.pidfd_open)
    pidfd_send_signal = staticmethod(process.pidfd_send_signal)
    close_range = staticmethod(process.close_range)
    prctl = staticmethod(process.prctl)
    set_name = staticmethod(process.set_name)
    join_session_keyring = staticmethod(process.join_session_keyring)
    start_time = staticmethod(process.start_time)

    write_uid_map = staticmethod(idmap.write_uid_map)
    write_gid_map = staticmethod(idmap.write_gid_map)
    deny_setgroups = staticmethod(idmap.deny_setgroups)
    set_user = staticmethod(identity.set_user)
    set_group = staticmethod(identity.set_group)
    set_groups = staticmethod(identity.set_groups)
    set_umask = staticmethod(identity.set_umask)
    new_session = staticmethod(identity.new_session)
    limits = staticmethod(identity.limits)
    set_limits = staticmethod(identity.set_limits)

    capget = staticmethod(capabilities.capget)
    capset = staticmethod(capabilities.capset)
    drop_bounding = staticmethod(capabilities.drop_bounding)
    clear_ambient = staticmethod(capabilities.clear_ambient)
    raise_ambient = staticmethod(capabilities.raise_ambient)
    install_filter = staticmethod(seccomp.install)

    open_file = staticmethod(files.open_file)
    close = staticmethod(files.close)
    write_text = staticmethod(files.write_text)
    read_link = staticmethod(files.read_link)
    file_mode = staticmethod(files.file_mode)
    file_identity = staticmethod(files.file_identity)
    file_status = staticmethod(files.file_status)
    make_node = staticmethod(files.make_node)
    make_link = staticmethod(files.make_link)
    remove_file = staticmethod(files.remove_file)
    make_subdirectory = staticmethod(files.make_subdirectory)
    change_directory = staticmethod(files.change_directory)
    enter_directory = staticmethod(files.enter_directory)
    change_root = staticmethod(files.change_root)
    open_in_root = staticmethod(safepath.open_in_root)
    make_directory = staticmethod(safepath.make_directory)
    make_file = staticmethod(safepath.make_file)

    unlock_terminal = staticmethod(tty.unlock)
    open_peer = staticmethod(tty.open_peer)
    set_controlling_terminal = staticmethod(tty.set_controlling)
    set_terminal_size = staticmethod(tty.set_size)

    # What few processes ask for. Whoever plans it has imported the module: not after a clone.

    def set_scheduler(self, pid: int, schedule: "Schedule", /) -> None:
        from boxship.kernel import scheduling  # noqa: PLC0415 - see above

        scheduling.set_scheduler(pid, schedule)

    def set_io_priority(self, pid: int, group: int, level: int, /) -> None:
        from boxship.kernel import scheduling  # noqa: PLC0415 - as above

        scheduling.set_io_priority(pid, group, level)

    def set_memory_policy(self, mode: int, nodes: "Iterable[int]", /) -> None:
        from boxship.kernel import scheduling  # noqa: PLC0415 - as above

        scheduling.set_memory_policy(mode, nodes)

    def set_personality(self, persona: int, /) -> None:
        from boxship.kernel import scheduling  # noqa: PLC0415 - as above

        scheduling.set_personality(persona)

    def affinity(self) -> "frozenset[int]":
        from boxship.kernel import scheduling  # noqa: PLC0415 - as above

        return scheduling.affinity()

    def set_affinity(self, cpus: "Iterable[int]", /) -> None:
        from boxship.kernel import scheduling  # noqa: PLC0415 - as above

        scheduling.set_affinity(cpus)
