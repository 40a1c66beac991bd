"""Credentials for a registry, as clients hand them over."""

import msgspec


class Credentials(msgspec.Struct, frozen=True):
    """User and password, or an identity token, or a bearer token; all empty means anonymous."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    server_address: str = ""

    @property
    def anonymous(self) -> bool:
        return not (self.username or self.identity_token or self.registry_token)
