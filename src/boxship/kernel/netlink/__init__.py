"""Routing netlink, spoken raw: links, addresses and routes, many requests in one send.

No library: importing one costs more than a hundred times what a container's network takes.
Sources: rtnetlink(7), netlink(7), include/uapi/linux/{rtnetlink,if_link,netlink}.h.
"""

from boxship.kernel.netlink.address import Address as Address
from boxship.kernel.netlink.address import Route as Route
from boxship.kernel.netlink.address import add_address as add_address
from boxship.kernel.netlink.address import add_neighbour as add_neighbour
from boxship.kernel.netlink.address import add_route as add_route
from boxship.kernel.netlink.address import addresses as addresses
from boxship.kernel.netlink.address import delete_address as delete_address
from boxship.kernel.netlink.address import routes as routes
from boxship.kernel.netlink.connection import NetlinkError as NetlinkError
from boxship.kernel.netlink.connection import RouteSocket as RouteSocket
from boxship.kernel.netlink.conntrack import forget_flows_to as forget_flows_to
from boxship.kernel.netlink.conntrack import open_conntrack as open_conntrack
from boxship.kernel.netlink.link import Link as Link
from boxship.kernel.netlink.link import VethPair as VethPair
from boxship.kernel.netlink.link import add_bridge as add_bridge
from boxship.kernel.netlink.link import add_veth as add_veth
from boxship.kernel.netlink.link import change_link as change_link
from boxship.kernel.netlink.link import delete_group as delete_group
from boxship.kernel.netlink.link import delete_link as delete_link
from boxship.kernel.netlink.link import hairpin_port as hairpin_port
from boxship.kernel.netlink.link import isolate_port as isolate_port
from boxship.kernel.netlink.link import links as links
from boxship.kernel.netlink.link import move_to_group as move_to_group
from boxship.kernel.netlink.link import settle_link as settle_link
from boxship.kernel.netlink.message import Request as Request
