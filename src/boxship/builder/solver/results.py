"""Results of vertices, and what can produce them."""

from typing import Protocol

import msgspec

from boxship.builder.graph import Operation
from boxship.model.digest import Digest
from boxship.model.image import Descriptor


class Layer(msgspec.Struct, frozen=True):
    """One new layer: the digest of its tar and the blob that holds it."""

    diff_id: Digest
    descriptor: Descriptor


class Result(msgspec.Struct, frozen=True):
    """What a vertex came to.

    Attributes:
        key: its cache key.
        chain: chain id of the file system after it; empty for no layers.
        layer: the layer it added, None when it changed no file.
        created: when, as RFC 3339; for a cached result, when it was made first.
        cached: whether it was found instead of made.
    """

    key: str
    chain: str
    layer: Layer | None = None
    created: str = ""
    cached: bool = False


class Worker(Protocol):
    """Carries out operations on real file systems.

    `chains` are the chain ids of the vertex's inputs, in their order.
    """

    async def contents(self, operation: Operation, chains: tuple[str, ...]) -> str:
        """A digest of all the operation reads beside what it builds on: context, other stages.

        Raises:
            InvalidArgumentError: a source does not exist.
        """
        ...

    async def execute(
        self, operation: Operation, chains: tuple[str, ...]
    ) -> tuple[str, Layer | None]:
        """Do it: the chain id afterwards, and the layer if anything changed.

        Raises:
            BoxshipError: it failed; nothing is left of it.
        """
        ...

    def present(self, result: Result) -> bool:
        """Whether the layer and snapshot of an earlier result are still in the stores."""
        ...
