"""Networks: bridges, addresses, names and published ports."""

from boxship.network.dns import ResolvConf as ResolvConf
from boxship.network.hosts import hosts_text as hosts_text
from boxship.network.hosts import parse_extra_host as parse_extra_host
from boxship.network.sandbox import Sandbox as Sandbox
from boxship.network.service import NetworkService as NetworkService
from boxship.network.settings import AddressRange as AddressRange
from boxship.network.settings import NetworkSettings as NetworkSettings
