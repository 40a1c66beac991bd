"""Networks: bridges, addresses, names and published ports."""
