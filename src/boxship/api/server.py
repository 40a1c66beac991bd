"""Listening: unix sockets and TCP, with or without TLS."""

import asyncio
import errno
import grp
import os
import socket
import ssl
import struct
from pathlib import Path

import msgspec

from boxship.api.connection import Connection, Handler
from boxship.api.request import Peer
from boxship.errors import ConflictError, InvalidArgumentError

SOCKET_GROUP = "boxship"
DEFAULT_TCP_PORT = 2375
DEFAULT_TLS_PORT = 2376


class TlsFiles(msgspec.Struct, frozen=True):
    """Certificate files of a TLS listener; with `ca` and `verify` clients must present one too."""

    certificate: str
    key: str
    ca: str = ""
    verify: bool = False


class Server:
    """Every listener of a daemon, all serving the same handler."""

    def __init__(self, handler: Handler, tls: TlsFiles | None = None) -> None:
        self._handler = handler
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._unix: list[Path] = []

    async def listen(self, address: str) -> None:
        """Start serving on `unix://PATH`, `tcp://HOST[:PORT]` or `fd://`-less PATH.

        Raises:
            InvalidArgumentError: the address has another form.
            ConflictError: something else serves there already.
        """
        scheme, separator, rest = address.partition("://")
        if not separator:
            scheme, rest = ("unix", address) if address.startswith("/") else ("tcp", address)
        if scheme == "unix" and rest.startswith("/"):
            await self._listen_unix(Path(rest))
        elif scheme == "tcp":
            await self._listen_tcp(rest)
        else:
            raise InvalidArgumentError(
                f"cannot listen on {address!r}", hint="use unix:///path or tcp://host:port"
            )

    async def close(self) -> None:
        """Stop listening and remove the sockets' files; requests under way are not waited for."""
        for server in self._servers:
            server.close()
        for path in self._unix:
            path.unlink(missing_ok=True)

    async def _listen_unix(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The mode is narrowed before anyone can connect: bind makes the file by the umask.
        previous = os.umask(0o177)
        try:
            listener.bind(str(path))
        except OSError as error:
            raise InvalidArgumentError(f"cannot listen on unix://{path}: {error}") from error
        finally:
            os.umask(previous)
        _give_to_group(path)
        loop = asyncio.get_running_loop()
        self._servers.append(
            await loop.create_unix_server(
                lambda: Connection(self._handler, _peer), sock=listener, backlog=512
            )
        )
        self._unix.append(path)

    async def _listen_tcp(self, rest: str) -> None:
        host, port = _host_port(rest, DEFAULT_TLS_PORT if self._tls else DEFAULT_TCP_PORT)
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: Connection(self._handler, lambda _: Peer()),
                host or None,
                port,
                ssl=_context(self._tls) if self._tls else None,
            )
        except OSError as error:
            kind = ConflictError if error.errno == errno.EADDRINUSE else InvalidArgumentError
            raise kind(f"cannot listen on tcp://{rest}: {error.strerror or error}") from error
        self._servers.append(server)


def _host_port(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        return text.strip("[]"), default
    if not port.isdigit():
        raise InvalidArgumentError(f"cannot listen on tcp://{text}: {port!r} is no port")
    return host.strip("[]"), int(port)


def _remove_stale(path: Path) -> None:
    """Remove a socket nobody serves; refuse where somebody does, or where it is something else."""
    if not path.exists():
        return
    if not path.is_socket():
        raise ConflictError(
            f"cannot listen on unix://{path}: there is something else than a socket",
            hint="remove it, or give another --host",
        )
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except OSError:
        path.unlink(missing_ok=True)
    else:
        raise ConflictError(
            f"another daemon already serves unix://{path}",
            hint="stop it, or give this one its own --host, --data-root and --exec-root",
        )
    finally:
        probe.close()


def _give_to_group(path: Path) -> None:
    """Mode 0660, group `boxship` where the host has one; else the owner alone."""
    try:
        group = grp.getgrnam(SOCKET_GROUP).gr_gid
    except KeyError:
        path.chmod(0o600)
        return
    os.chown(path, -1, group)
    path.chmod(0o660)


def _peer(transport: asyncio.Transport) -> Peer:
    sock = transport.get_extra_info("socket")
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return Peer(*struct.unpack("iii", data))


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.ca:
            context.load_verify_locations(files.ca)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgumentError(f"cannot use TLS files {files.certificate}: {error}") from error
    if files.verify:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
