"""Steps by which the new process becomes the user it shall run as."""

import errno
import os
import stat

from boxship.errors import InvalidArgumentError
from boxship.kernel import KernelError, abi, seccomp
from boxship.runtime import sync
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel

_MAX_ID = (1 << 31) - 1
_MAX_DIGITS = 20
# Far above any real one; the file is the image's, the memory the host's.
_MAX_FILE = 16 << 20
_CHUNK = 65536


class User:
    """Who a process runs as, as far as the spec says.

    Attributes:
        name: `user[:group]`, names or numbers, looked up in the container; empty to take the ids.
        uid: user id when there is no name.
        gid: group id when there is no name.
        groups: supplementary group ids.
        group_names: more of them by name or number, looked up in the container.
    """

    __slots__ = ("gid", "group_names", "groups", "name", "uid")

    def __init__(
        self,
        name: str = "",
        uid: int = 0,
        gid: int = 0,
        groups: tuple[int, ...] = (),
        group_names: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.group_names = group_names


def user_of(user: "dict[str, Any]") -> User:
    """The `user` object of an OCI process."""
    return User(
        user.get("username") or "",
        user.get("uid") or 0,
        user.get("gid") or 0,
        tuple(user.get("additionalGids") or ()),
        tuple(user.get("additionalGroupNames") or ()),
    )


class Identity:
    """A user found: ids and home directory."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: "list[int]", home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def resolve(user: User, passwd: str, group: str) -> Identity:
    """Find a user as Docker does, from the text of the container's passwd and group files.

    A number need not be listed; a listed one brings its group and home along. It is never taken for
    a name: an image with a user "1000" of id 0 would decide who runs. The groups a user is a member
    of count unless a group was named.

    Raises:
        InvalidArgumentError: a name is not listed or a number is out of range.
    """
    wanted, _, wanted_group = user.name.partition(":")
    users, groups = _lines(passwd, 7), _lines(group, 4)
    uid, gid, home, login = user.uid, user.gid, "/", ""
    key = wanted or str(uid)
    found = next((line for line in users if _is_meant(key, line)), None)
    if found is not None:
        login, uid, home = found[0], _id(found[2]), found[5] or "/"
        if user.name:
            gid = _id(found[3])
    elif wanted:
        uid = _number(wanted, "user", "passwd")
    if wanted_group:
        gid = _group_id(wanted_group, groups)
    # A user's own group counts twice: a program that gives it up must not come to files that are
    # closed to it (CVE-2022-36109).
    extra = [*user.groups, *([gid] if user.name else ())]
    if not wanted_group and user.name and login:
        extra += [_id(line[2]) for line in groups if login in line[3].split(",")]
    extra += [_group_id(name, groups) for name in user.group_names]
    return Identity(uid, gid, list(dict.fromkeys(extra)), home)


def _is_meant(word: str, line: "list[str]") -> bool:
    return word == (line[2] if word.isdecimal() else line[0])


def _lines(text: str, fields: int) -> "list[list[str]]":
    split = [line.strip().split(":") for line in text.splitlines()]
    padded = [line + [""] * (fields - len(line)) for line in split if len(line) > 2]
    return [line for line in padded if line[2].isdecimal() and (fields < 7 or line[3].isdigit())]


def _group_id(name: str, groups: "list[list[str]]") -> int:
    for line in groups:
        if _is_meant(name, line):
            return _id(line[2])
    return _number(name, "group", "group")


def _number(word: str, what: str, file: str) -> int:
    if not word.isdecimal():
        raise InvalidArgumentError(
            f"unable to find {what} {word}: no matching entries in {file} file"
        )
    return _id(word)


def _id(word: str) -> int:
    if len(word) > _MAX_DIGITS or int(word) > _MAX_ID:
        raise InvalidArgumentError(f"uids and gids must be in range 0-{_MAX_ID}")
    return int(word)


class FindUser(Step):
    """Look the user up in the container, and give the program a HOME."""

    __slots__ = ("user",)

    def __init__(self, user: User) -> None:
        self.user = user

    def describe(self) -> str:
        user = self.user
        who = user.name or f"{user.uid}:{user.gid}"
        return f"find user {who} with groups {[*user.groups, *user.group_names]}"

    def execute(self, context: Context) -> None:
        user = self.user
        identity = Identity(user.uid, user.gid, list(user.groups), "/")
        home_known = bool(context.environment.get("HOME"))
        if user.name or user.group_names or not home_known:
            passwd = _read(context.kernel, "/etc/passwd")
            identity = resolve(user, passwd, _read(context.kernel, "/etc/group"))
        if not home_known:
            context.environment["HOME"] = identity.home
        context.identity = identity


class BecomeUser(Step):
    """Take the user's ids and no capability beyond the spec's."""

    __slots__ = (
        "ambient",
        "bounding",
        "effective",
        "inheritable",
        "keeps_groups",
        "last",
        "permitted",
    )

    def __init__(self, sets: "dict[str, int]", last: int) -> None:
        """Decide.

        Args:
            sets: capability sets by OCI name (`bounding`, `effective`, ...), bit n for number n.
            last: highest capability number that the kernel knows.

        Set `keeps_groups` to stay in the supplementary groups of whoever starts it.
        """
        self.bounding = sets.get("bounding", 0)
        self.effective = sets.get("effective", 0)
        self.permitted = sets.get("permitted", 0)
        self.inheritable = sets.get("inheritable", 0)
        self.ambient = sets.get("ambient", 0)
        self.last = last
        self.keeps_groups = False

    def describe(self) -> str:
        return (
            f"become the user with capabilities bounding={self.bounding:#x}"
            f" effective={self.effective:#x} permitted={self.permitted:#x}"
            f" inheritable={self.inheritable:#x} ambient={self.ambient:#x}"
            + (" and the groups that are there" if self.keeps_groups else "")
        )

    def execute(self, context: Context) -> None:
        kernel, who = context.kernel, context.identity or Identity(0, 0, [], "/")
        for capability in range(self.last + 1):
            if not self.bounding >> capability & 1:
                kernel.drop_bounding(capability)
        kernel.prctl(abi.PR_SET_KEEPCAPS, 1)
        if not self.keeps_groups:
            self._set_groups(kernel, who.groups, who.gid)
        kernel.set_group(who.gid)
        kernel.set_user(who.uid)
        kernel.prctl(abi.PR_SET_KEEPCAPS, 0)
        self._set_capabilities(kernel)

    def _set_groups(self, kernel: "Kernel", groups: "list[int]", gid: int) -> None:
        try:
            kernel.set_groups(groups)
        except KernelError as error:
            # A user namespace whose setgroups file says deny.
            if error.errno != errno.EPERM:
                raise
            # The own group is there already.
            if set(groups) - {gid}:
                msg = f"cannot take the groups {groups}: this user namespace forbids setgroups"
                hint = "map a range of /etc/subgid, or leave the groups out"
                raise InvalidArgumentError(msg, hint=hint) from error

    def _set_capabilities(self, kernel: "Kernel") -> None:
        # What this process does not have it cannot give, whatever --privileged asks for.
        _, have, _ = kernel.capget()
        permitted = self.permitted & have
        inheritable = self.inheritable & (have | permitted)
        kernel.capset(self.effective & permitted, permitted, inheritable)
        kernel.clear_ambient()
        for capability in range(self.last + 1):
            if self.ambient & permitted & inheritable & 1 << capability:
                kernel.raise_ambient(capability)


class LoadFilter(Step):
    """Put the seccomp filter in force."""

    __slots__ = ()

    def describe(self) -> str:
        return "load the seccomp filter"

    def execute(self, context: Context) -> None:
        program, flags = context.filter
        listener = context.kernel.install_filter(program, flags)
        if flags & seccomp.NEW_LISTENER and context.channel is not None:
            # From here on an agent decides what this process may do, so it must know of it first.
            context.channel.send(sync.NOTIFY, (listener,))
            context.kernel.close(listener)


class LimitResources(Step):
    """Set resource limits, as far as this process is allowed to."""

    __slots__ = ("limits",)

    def __init__(self, limits: "tuple[tuple[str, int, int], ...]") -> None:
        self.limits = limits

    def describe(self) -> str:
        return "limit " + ", ".join(f"{kind}={soft}:{hard}" for kind, soft, hard in self.limits)

    def execute(self, context: Context) -> None:
        for kind, soft, hard in self.limits:
            _, allowed = context.kernel.limits(kind)
            reachable = clamp(hard, allowed)
            context.kernel.set_limits(0, kind, clamp(soft, reachable), reachable)


def clamp(value: int, bound: int) -> int:
    """The smaller limit, where -1 stands for none."""
    if bound < 0:
        return value
    return bound if value < 0 else min(value, bound)


class SetUmask(Step):
    """Set the program's file mode creation mask."""

    __slots__ = ("mask",)

    def __init__(self, mask: int) -> None:
        self.mask = mask

    def describe(self) -> str:
        return f"set umask {self.mask:04o}"

    def execute(self, context: Context) -> None:
        context.kernel.set_umask(self.mask)


class ForbidNewPrivileges(Step):
    """Make set-user-id programs and file capabilities ineffective from here on."""

    __slots__ = ()

    def describe(self) -> str:
        return "set no_new_privs"

    def execute(self, context: Context) -> None:
        context.kernel.prctl(abi.PR_SET_NO_NEW_PRIVS, 1)


def _read(kernel: "Kernel", path: str) -> str:
    # Non-blocking: the image may have a fifo there.
    try:
        descriptor = kernel.open_file(path, os.O_RDONLY | os.O_NONBLOCK)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return ""
        raise
    return read_whole(kernel, descriptor, path)


def read_whole(kernel: "Kernel", descriptor: int, path: str) -> str:
    """The text of a passwd or group file, whose descriptor is closed.

    Raises:
        InvalidArgumentError: it is larger than any real one.
    """
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not found.st_size:
            # Files of /proc have no size: a link may lead to the kernel's log.
            return ""
        parts, size = [], 0
        while chunk := os.read(descriptor, _CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > _MAX_FILE:
                raise InvalidArgumentError(f"{path} of the image has more than {_MAX_FILE} bytes")
    finally:
        kernel.close(descriptor)
    return b"".join(parts).decode(errors="surrogateescape")
