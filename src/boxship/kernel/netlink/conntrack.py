"""Connection tracking: forgetting flows (include/uapi/linux/netfilter/nfnetlink_conntrack.h)."""

import errno
import socket
import struct

from boxship.kernel.netlink.connection import RouteSocket
from boxship.kernel.netlink.message import Request, attribute, nested, u8, u32

_NETLINK_NETFILTER = 12
_DELETE = 1 << 8 | 2  # subsystem conntrack, IPCTNL_MSG_CT_DELETE
# struct nfgenmsg. The kernel looks at the family only when the version is not 0.
_HEADER = struct.pack("=BBH", socket.AF_INET, 1, 0)
_TUPLE_ORIGINAL, _FILTER = 1, 25
_TUPLE_PROTOCOL, _PROTOCOL_NUMBER, _DESTINATION_PORT = 2, 1, 3
_FILTER_ORIGINAL = 1
_MATCH_PROTOCOL, _MATCH_DESTINATION_PORT = 1 << 3, 1 << 5


def open_conntrack() -> RouteSocket:
    """A netlink socket for connection tracking in the calling thread's network namespace."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    return RouteSocket(socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER))


def forget_flows_to(protocol: int, port: int) -> Request:
    """Forget every IPv4 flow that was sent to a port, so that its next packet meets the rules anew.

    Needs kernel 5.8; older ones answer EOPNOTSUPP or EINVAL, which is passed over.
    """
    flags = _MATCH_PROTOCOL | _MATCH_DESTINATION_PORT
    body = (
        _HEADER
        + nested(_FILTER, u32(_FILTER_ORIGINAL, flags))
        + nested(
            _TUPLE_ORIGINAL,
            nested(
                _TUPLE_PROTOCOL,
                u8(_PROTOCOL_NUMBER, protocol),
                attribute(_DESTINATION_PORT, port.to_bytes(2, "big")),
            ),
        )
    )
    tolerate = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOENT)
    return Request(_DELETE, 0, body, f"forget flows to port {port}", tolerate)
