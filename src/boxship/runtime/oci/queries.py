"""Commands of `boxship-runtime` that only tell; each returns the exit code."""

import os
import sys
import time

from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError
from boxship.runtime.oci.report import REPORT
from boxship.runtime.oci.state import DamagedError, Record, Store, group, oci_state
from boxship.runtime.spec import document
from boxship.runtime.spec.encode import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.oci.arguments import Arguments


def state(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Print the OCI state document."""
    _print(_row(store, store.load(arguments.rest[0])))
    return 0


def list_containers(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Print all containers of the root directory."""
    records = list(_records(store))
    if arguments.has("quiet"):
        sys.stdout.write("".join(f"{record.id}\n" for record in records))
        return 0
    rows = [_row(store, record) for record in records]
    if _wants_json(arguments):
        _print(rows)
        return 0
    columns = ("id", "pid", "status", "bundle", "created", "owner")
    sys.stdout.write(table(columns, [[str(row[name]) for name in columns] for row in rows]))
    return 0


def ps(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Print the processes of a container."""
    pids = group(store.load(arguments.rest[0])).processes()
    if _wants_json(arguments):
        _print(pids)
        return 0
    from boxship.kernel.process import run  # noqa: PLC0415 - only for the table

    output = run(["ps", *(arguments.rest[1:] or ["-ef"])]).stdout.decode(errors="replace")
    lines = output.split("\n")
    columns = lines[0].split()
    if "PID" not in columns:
        raise InvalidArgumentError("what ps prints has no column PID", hint="ask for it with -o")
    position = columns.index("PID")
    wanted = {str(pid) for pid in pids}
    # A line may have fewer columns: of a command that has line breaks, or with an empty one.
    kept = [
        line for line in lines[1:] if wanted.intersection(line.split()[position : position + 1])
    ]
    sys.stdout.write("\n".join((lines[0], *kept)) + "\n")
    return 0


def spec(_: Store, arguments: "Arguments", __: "Arguments") -> int:
    """Write config.json for a shell in ./rootfs."""
    from boxship.runtime.spec.generate import SpecOptions, generate_spec  # noqa: PLC0415 - only here

    path = os.path.join(arguments.text("bundle") or ".", "config.json")  # noqa: PTH118 - slow
    if os.access(path, os.F_OK):
        raise ConflictError(f"{path} exists", hint="remove it first")
    environment = (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM=xterm",
    )
    options = SpecOptions(
        argv=("sh",), env=environment, tty=True, hostname="boxship", read_only=True
    )
    made = generate_spec(options)
    if arguments.has("rootless"):
        from boxship.runtime.oci.rootless_spec import make_rootless  # noqa: PLC0415 - only here

        made = make_rootless(made, os.geteuid(), os.getegid())
    document.write(path, made)
    return 0


def _row(store: Store, record: Record) -> "dict[str, Any]":
    """The state document, and what runc and crun add to it."""
    uid = os.stat(store.directory(record.id)).st_uid  # noqa: PTH116 - pathlib is slow to import
    made = {"created": _stamp(record.created), "owner": _owner(uid)}
    return {**oci_state(record, store.status(record)), **made}


def _owner(uid: int) -> str:
    if uid == 0:
        return "root"
    from pwd import getpwuid  # noqa: PLC0415 - not for root

    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _records(store: Store) -> "list[Record]":
    records = []
    for container_id in store.ids():
        try:
            records.append(store.load(container_id))
        except NotFoundError:
            # Just being made or deleted; and directories that are not containers.
            continue
        except DamagedError as error:
            REPORT.warn(str(error))
    return records


def table(columns: "tuple[str, ...]", rows: "list[list[str]]") -> str:
    """Text with aligned columns."""
    lines = [[column.upper() for column in columns], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    padded = ["   ".join(w.ljust(n) for w, n in zip(line, widths, strict=True)) for line in lines]
    return "".join(f"{line.rstrip()}\n" for line in padded)


def _wants_json(arguments: "Arguments") -> bool:
    word = arguments.text("format", "table")
    if word not in ("table", "json"):
        raise InvalidArgumentError(f"unknown format {word!r}", hint="use table or json")
    return word == "json"


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _print(value: "Any") -> None:
    sys.stdout.write(dumps(value) + "\n")
