"""Raw netlink: links, addresses, routes and neighbours in batched messages."""
