"""An executor without keeper and network: mount, chroot, run; for tests of the builder."""

import asyncio
import contextlib
import shlex
from collections.abc import Callable

from boxship.builder.worker.executor import ExecutionRequest
from boxship.model.mount import Mount


class ChrootExecutor:
    """Runs each command by unshare(1) in a private mount namespace.

    Attributes:
        requests: everything that was run.
    """

    def __init__(self) -> None:
        self.requests: list[ExecutionRequest] = []

    async def run(self, request: ExecutionRequest, output: Callable[[str, bytes], None]) -> int:
        self.requests.append(request)
        process = await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec"),
            _script(request),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await asyncio.gather(
                _pump(process.stdout, "stdout", output), _pump(process.stderr, "stderr", output)
            )
            code = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return code if code >= 0 else 128 - code


async def _pump(
    stream: asyncio.StreamReader | None, name: str, output: Callable[[str, bytes], None]
) -> None:
    assert stream is not None
    while data := await stream.read(65536):
        output(name, data)


def _script(request: ExecutionRequest) -> str:
    root = "/mnt"
    lines = ["mount --make-rprivate /", "exec 3>&2 2>/dev/null"]
    usual = (
        Mount("proc", "proc", "/proc"),
        Mount("bind", "/dev", "/dev", ("rbind",)),
        Mount("bind", "/etc/hosts", "/etc/hosts", ("rbind", "ro")),
    )
    for mount in (*request.root, *usual, *request.mounts):
        target = shlex.quote(root + mount.target)
        if mount.target:
            source = shlex.quote(mount.source)
            lines.append(f"if [ -d {source} ] || [ ! -e {source} ]; then mkdir -p {target}; else")
            lines.append(f"mkdir -p $(dirname {target}); [ -e {target} ] || : >{target}; fi")
        if mount.type == "bind":
            lines.append(f"mount --rbind {shlex.quote(mount.source)} {target}")
            if "ro" in mount.options:
                lines.append(f"mount -o remount,bind,ro {target}")
        else:
            options = f"-o {shlex.quote(','.join(mount.options))}" if mount.options else ""
            lines.append(f"mount -t {mount.type} {options} {mount.type} {target}")
    cwd = shlex.quote(request.cwd)
    argv = shlex.join(request.argv)
    env = shlex.join(["env", "-i", *request.env])
    lines.append("exec 2>&3 3>&-")
    inner = shlex.quote(f"cd {cwd} && exec {argv}")
    lines.append(f"exec {env} /usr/sbin/chroot {root} /bin/sh -c {inner}")
    return "\n".join(lines)
