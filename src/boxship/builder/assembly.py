"""From results of steps to image configs: history, layers and the id after every step."""

import msgspec

from boxship.builder.convert import StagePlan, Step
from boxship.builder.solver import Layer, Result
from boxship.model.digest import Digest, chain_id, digest_of
from boxship.model.image import Descriptor, History, Image, ImageConfig, RootFs
from boxship.model.platform import Platform


class Assembly(msgspec.Struct, frozen=True):
    """An image in the making.

    Attributes:
        image: the finished image this is so far, None once a step was added.
    """

    config: ImageConfig
    layers: tuple[Descriptor, ...] = ()
    image: Image | None = None

    @property
    def id(self) -> Digest:
        """What the image's id would be if this were all."""
        if self.image is not None:
            return self.image.id
        return digest_of(msgspec.json.encode(self.config))

    @property
    def chains(self) -> tuple[str, ...]:
        """Chain ids from the base up."""
        diff_ids = self.config.rootfs.diff_ids
        return tuple(chain_id(diff_ids[: count + 1]) for count in range(len(diff_ids)))

    def step(self, step: Step, result: Result) -> "Assembly":
        """The image after one more step."""
        entry = History(
            created=result.created,
            created_by=step.created_by,
            author=step.author or None,
            empty_layer=result.layer is None,
        )
        config = msgspec.structs.replace(
            self.config,
            created=result.created,
            author=step.author or None,
            config=step.config,
            history=(*self.config.history, entry),
            rootfs=_with(self.config.rootfs, result.layer),
        )
        added = (result.layer.descriptor,) if result.layer is not None else ()
        return Assembly(config, (*self.layers, *added))


def begin(plan: StagePlan) -> Assembly:
    """What a stage starts with when it does not start from another stage."""
    if plan.base is not None:
        return Assembly(plan.base.config, plan.base.manifest.layers, plan.base)
    return Assembly(_empty(plan.platform, plan))


def _empty(platform: Platform, plan: StagePlan) -> ImageConfig:
    return ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        rootfs=RootFs("layers", ()),
        config=plan.config,
    )


def _with(rootfs: RootFs, layer: Layer | None) -> RootFs:
    return rootfs if layer is None else RootFs("layers", (*rootfs.diff_ids, layer.diff_id))
