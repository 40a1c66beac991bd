"""A step: something decided before the clone that the new process does after it.

Steps run between fork and exec, so they follow the fork rule of `boxship.kernel.process`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel
    from boxship.runtime.credentials import Identity
    from boxship.runtime.sync import Channel


class Context:
    """What the steps of one process hand on to each other.

    Attributes:
        kernel: the door to the kernel.
        trees: descriptors of the mounts that the parent prepared, in the plan's order.
        mounts: mount namespace to enter, -1 for the one it was born in.
        stage: directory in which the root is built, -1 before.
        root: the container's root directory, -1 before it is mounted.
        procs: device numbers of the mounts of proc that the container sees.
        terminal: the program's end of its pseudo terminal, -1 without one.
        master: the other end, -1 without one.
        environment: environment of the program.
        identity: who the program runs as; None before it is looked up.
        filter: seccomp program and flags, compiled by the parent.
        program: path of the program in the container.
        shield: program to execute it from, a descriptor or a path; empty for none.
        leader: this very process is to lead the program's session.
        channel: the child's end of the sync socket; None in a test.
    """

    __slots__ = (
        "channel",
        "environment",
        "filter",
        "identity",
        "kernel",
        "leader",
        "master",
        "mounts",
        "procs",
        "program",
        "root",
        "shield",
        "stage",
        "terminal",
        "trees",
    )

    def __init__(self, kernel: "Kernel", environment: "dict[str, str]") -> None:
        self.kernel = kernel
        self.trees: tuple[int, ...] = ()
        self.mounts = -1
        self.stage = -1
        self.root = -1
        self.procs: set[int] = set()
        self.terminal = -1
        self.master = -1
        self.environment = environment
        self.identity: Identity | None = None
        self.filter = (b"", 0)
        self.program = ""
        self.shield: int | str = ""
        self.leader = True
        self.channel: Channel | None = None


class Step:
    """One thing to do; equal to another when both say the same of themselves."""

    __slots__ = ()

    def describe(self) -> str:
        """One line for `--debug` and for tests."""
        raise NotImplementedError

    def execute(self, context: Context) -> None:
        """Do it.

        Raises:
            BoxshipError: it cannot be done; the text is for the user.
            KernelError: a system call failed.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))
