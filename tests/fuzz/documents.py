"""Documents that nobody would write, made of some that people do.

A mutation takes away, retypes or repeats a part of a real document, or fills a field of the
specification with a value of the right type that makes no sense there.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from boxship.runtime.spec import shape
from boxship.runtime.spec.generate import SpecOptions, generate_spec
from boxship.runtime.spec.seccomp_profile import default_profile

# One word of each vocabulary of the specification, so that a mutation gets past the first check.
KNOWN_WORDS = tuple(
    """
    mount pid user cgroup time network ipc uts bind rbind tmpfs proc sysfs mqueue devpts cgroup2
    overlay none ro rw rro nosuid nodev noexec idmap ridmap tmpcopyup size=1 size=-1 mode=9
    uid=0 private rshared slave runbindable remount SCMP_ACT_ALLOW SCMP_ACT_ERRNO SCMP_ACT_KILL
    SCMP_ACT_TRACE SCMP_ACT_NOTIFY SCMP_CMP_EQ SCMP_CMP_MASKED_EQ SCMP_ARCH_X86 SCMP_ARCH_ARM
    SECCOMP_FILTER_FLAG_TSYNC read clone openat CAP_KILL CAP_SYS_ADMIN CAP_NONE RLIMIT_NOFILE
    RLIMIT_CORE RLIMIT_NONE SCHED_OTHER SCHED_FIFO SCHED_DEADLINE IOPRIO_CLASS_BE MPOL_BIND
    LINUX LINUX32 c b p a rwm 2MB 1GB 0 0-3 0-99999 net.ipv4.ip_forward kernel.shmmax eth0 lo
    1.2.0 1.0 2.0.0 memory.max cpu.weight pids.max cgroup.procs
    """.split()  # noqa: SIM905 - a list of words
)
ODD_WORDS = (
    *(
        "",
        " ",
        ".",
        "..",
        "/",
        "//",
        "/..",
        "../../..",
        "/proc",
        "/proc/self",
        "/dev/null",
        "a=b=c",
    ),
    *("/proc/self/ns/mnt", "/proc/self/ns/net", "/proc/1/root", "-1", "%n%s%d", "a\nb", "a:b,c"),
    *("\0", "a\0b", "é", "\ud800", "\U0001f980", "x" * 300, "/" + "y/" * 2100, "=", ":", "=x"),
)
EDGES = (0, 1, -1, 2, 7, 1023, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32,
         2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64, 10**30)  # fmt: skip
words = st.sampled_from((*KNOWN_WORDS, *ODD_WORDS))
numbers = st.sampled_from(EDGES) | st.integers()
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=True) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)


def of_shape(wanted: Any) -> st.SearchStrategy[Any]:
    """Values of a shape of boxship.runtime.spec.shape; some fields are left out."""
    if isinstance(wanted, str):
        if wanted == "boolean":
            return st.booleans()
        return words if wanted in ("string", "text") else _whole(wanted)
    if isinstance(wanted, list):
        return st.lists(of_shape(wanted[0]), max_size=3)
    if isinstance(wanted, tuple):
        return st.dictionaries(words, of_shape(wanted[0]), max_size=3)
    must = {key: of_shape(wanted[key]) for key in wanted.get("!", ())}
    may = {key: of_shape(part) for key, part in wanted.items() if key != "!" and key not in must}
    return st.fixed_dictionaries(must, optional=may)


def _whole(name: str) -> st.SearchStrategy[int]:
    least, most = shape.INTEGERS[name]
    return st.sampled_from([edge for edge in EDGES if least <= edge <= most])


def paths(wanted: Any, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every field of a shape that is reached by names alone, with the field's shape."""
    found: list[tuple[tuple[str, ...], Any]] = []
    if isinstance(wanted, Mapping):
        for key, part in wanted.items():
            if key != "!":
                found += [((*prefix, key), part), *paths(part, (*prefix, key))]
    return found


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a document with a key or index in it."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        found += [(value, key) for key in value]
        for part in value.values():
            found += places(part)
    elif isinstance(value, list):
        found += [(value, index) for index in range(len(value))]
        for part in value:
            found += places(part)
    return found


def _fill(draw: Any, document: Any, wanted: Any) -> None:
    path, part = draw(st.sampled_from(paths(wanted)))
    owner = document
    for key in path[:-1]:
        if not isinstance(owner.get(key), dict):
            owner[key] = {}
        owner = owner[key]
    owner[path[-1]] = draw(of_shape(part))


def _disturb(draw: Any, document: Any) -> None:
    found = places(document)
    if not found:
        return
    owner, key = draw(st.sampled_from(found))
    how = draw(st.sampled_from(("remove", "replace", "repeat", "null", "unknown", "word")))
    if how == "remove":
        del owner[key]
    elif how == "repeat" and isinstance(owner, list):
        owner.append(copy.deepcopy(owner[key]))
    elif how == "unknown" and isinstance(owner, dict):
        owner[draw(words)] = draw(anything)
    elif how == "null":
        owner[key] = None
    elif how == "word":
        owner[key] = draw(words)
    else:
        owner[key] = draw(anything)


@st.composite
def mutated(draw: Any, originals: tuple[Any, ...], wanted: Any) -> Any:
    """One of some documents with one to four mutations."""
    document = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        if isinstance(document, dict) and draw(st.booleans()):
            _fill(draw, document, wanted)
        else:
            _disturb(draw, document)
    return document


@st.composite
def texts(draw: Any, originals: tuple[Any, ...]) -> bytes:
    """Files that are not, or hardly, JSON."""
    whole = json.dumps(draw(st.sampled_from(originals))).encode()
    at = draw(st.integers(0, len(whole)))
    deep = draw(st.sampled_from((10, 1000, 100_000)))
    return draw(
        st.sampled_from(
            (
                whole[:at],
                whole[:at] + b"\xff\xfe" + whole[at:],
                whole[:at] + b"\0" + whole[at:],
                whole + b"{}",
                b"\xef\xbb\xbf" + whole,
                whole.decode().encode("utf-16"),
                b"[" * deep,
                b"[" * deep + b"]" * deep,
                b'{"process":' * deep + b"1" + b"}" * deep,
                b'{"ociVersion":"1.2.0","x":' + b"9" * 5000 + b"}",
                b'{"ociVersion":"1.2.0","x":1e999}',
                b'{"ociVersion":"1.2.0","x":NaN}',
                b'{"ociVersion":"1.2.0","annotations":{"a":"' + b"x" * 3_000_000 + b'"}}',
                b"null",
                b"",
                b" \n",
                b'"1.2.0"',
            )
        )
    )


def originals(root: str, cgroup: str) -> tuple[dict[str, Any], ...]:
    """Documents as boxship makes them: of a container, and of one without root."""
    options = SpecOptions(argv=("true",), env=("PATH=/bin",), root=root, cgroup=cgroup)
    plain: dict[str, Any] = copy.deepcopy(generate_spec(options))
    profile = default_profile(frozenset())
    # A few of its rules: a whole profile would get most of the mutations.
    plain["linux"]["seccomp"] = {**profile, "syscalls": profile["syscalls"][-3:]}
    plain["hooks"] = {"poststop": [{"path": "/bin/true", "args": ["true"], "timeout": 5}]}
    mapped = copy.deepcopy(plain)
    mapped["linux"]["namespaces"].append({"type": "user"})
    ids = [{"containerID": 0, "hostID": 300_000, "size": 65536}]
    mapped["linux"].update(uidMappings=ids, gidMappings=copy.deepcopy(ids))
    plain["linux"]["resources"] = {
        "memory": {"limit": 1 << 26, "swap": 1 << 27},
        "cpu": {"shares": 512, "quota": 50_000, "period": 100_000},
        "pids": {"limit": 50},
        "devices": [{"allow": False, "access": "rwm"}],
    }
    return plain, mapped


PROCESSES = (
    {"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
    {"args": ["sh", "-c", "exit 3"], "cwd": "/srv", "noNewPrivileges": True},
)
RESOURCES = (
    {"memory": {"limit": 1 << 26}, "pids": {"limit": 50}},
    {"cpu": {"shares": 100, "quota": 20_000, "period": 100_000}, "unified": {"pids.max": "9"}},
)
DOCUMENT, PROCESS, LIMITS = shape.DOCUMENT, shape.PROCESS, shape.RESOURCES
