"""A launcher that makes plain processes: the keeper's other side without namespaces or images.

It speaks the launcher's protocol and, from the child, the sync protocol, so everything of the
keeper but isolation can be tried without root. The bundle's config.json needs `process.args`;
annotations make it misbehave:

    fake.error     text: answer with this error
    fake.hang      path: clone, then write the child's pid there and never answer
"""

import _socket
import json
import os
import sys
import time
from pathlib import Path

from boxship.kernel import process, tty
from boxship.runtime import channel, sync

CLONE_PARENT = 0x8000


def main():
    os.set_inheritable(3, False)
    sock = _socket.socket(fileno=3)
    while (received := channel.receive(sock)) is not None:
        body, fds = received
        _, name, *fields = json.loads(body)
        spec = json.loads(Path(fields[1], "config.json").read_bytes())
        notes = spec.get("annotations", {})
        if "fake.error" in notes:
            channel.send(sock, reply("Failed", "conflict", notes["fake.error"], "", ""))
            channel.close_all(fds)
            continue
        description = fields[3] if name == "SpawnExec" else spec["process"]
        pid, pidfd, talk = clone(description, fds, terminal=fields[-1])
        channel.close_all(fds)
        if "fake.hang" in notes:
            Path(notes["fake.hang"]).write_text(str(pid))
            time.sleep(600)
        channel.send(sock, reply("Cloned", pid, "", []), [pidfd, talk.fileno()])
        os.close(pidfd)
        talk.close()


def reply(name, *fields):
    return json.dumps([0, name, *fields]).encode()


def clone(description, fds, terminal):
    ours, theirs = sync.pair()
    pid, pidfd = process.clone(CLONE_PARENT)
    if pid:
        theirs.close()
        return pid, pidfd, ours
    try:
        ours.close()
        child(description, fds, terminal, theirs)
    finally:
        os._exit(1)


def child(description, fds, terminal, talk):
    os.setsid()
    stdio = console(talk) if terminal else fds[:3]
    talk.send(sync.READY)
    if talk.receive() is None:
        os._exit(1)
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)
    argv = description["args"]
    try:
        os.execvpe(argv[0], argv, {"PATH": os.environ.get("PATH", "/usr/bin:/bin")})  # noqa: S606
    except OSError as e:
        text = f'exec: "{argv[0]}": executable file not found in $PATH'
        talk.send_error(sync.NOT_FOUND, e.errno, text)


def console(talk):
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    tty.unlock(master)
    terminal = tty.open_peer(master)
    tty.set_controlling(terminal)
    talk.send(sync.CONSOLE, [master])
    os.close(master)
    return [terminal] * 3


if __name__ == "__main__":
    sys.exit(main())
