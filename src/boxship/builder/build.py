"""One build from its request to an assembled image."""

from boxship.builder.assembly import Assembly, begin
from boxship.builder.convert import Options, Plan, StagePlan, convert
from boxship.builder.dockerfile.lint import lint
from boxship.builder.dockerfile.parser import parse
from boxship.builder.narration import Narrator
from boxship.builder.request import BuildRequest
from boxship.builder.solver import Solver
from boxship.builder.source import context_root, read_dockerfile, read_ignore
from boxship.builder.worker.executor import Limits
from boxship.builder.worker.helper import FileHelper
from boxship.builder.worker.setting import Job
from boxship.errors import NotFoundError
from boxship.image.service import ImageService
from boxship.model.digest import Digest, chain_id
from boxship.model.image import Image
from boxship.model.platform import Platform, host_platform
from boxship.model.reference import DEFAULT_DOMAIN, parse_reference
from boxship.model.registry import Credentials
from boxship.storage.gc import Lease

# What clients call Docker Hub when they hand over its credentials.
_HUB = "https://index.docker.io/v1/"


class Build:
    """Plans and solves one request; what it uses is leased as soon as it is known.

    Attributes:
        lint: what of the Dockerfile is worth a warning.
    """

    def __init__(
        self, images: ImageService, request: BuildRequest, narrator: Narrator, lease: Lease
    ) -> None:
        self._images = images
        self.request = request
        self._narrator = narrator
        self._lease = lease
        self._bases: dict[Digest, Image] = {}
        self._ignore: tuple[str, ...] = ()
        self.lint: tuple[str, ...] = ()

    async def plan(self, helper: FileHelper) -> Plan:
        """Read and convert the Dockerfile; base images are fetched.

        Raises: as `BuildService.build`.
        """
        dockerfile = parse(await read_dockerfile(self.request, helper))
        self._ignore = await read_ignore(self.request, helper)
        self.lint = lint(dockerfile)
        options = Options(
            args=self.request.args,
            target=self.request.target,
            labels=self.request.labels,
            platform=self.request.platform,
            network=self.request.network_mode or "default",
        )
        return await convert(dockerfile, options, self._resolve)

    def job(self, token: str, helper: FileHelper) -> Job:
        """The build as its worker sees it."""
        request = self.request
        return Job(
            token=token,
            helper=helper,
            lease=self._lease,
            context=None if request.context is None else context_root(request.context),
            ignore=self._ignore,
            secrets=request.secrets,
            limits=Limits(
                extra_hosts=request.extra_hosts,
                shm_size=request.shm_size,
                ulimits=request.ulimits,
                resources=request.resources,
            ),
            images=self._bases,
            output=self._narrator.wrote,
            announce=self._narrator.running,
        )

    async def solve(self, plan: Plan, solver: Solver) -> Assembly:
        """Solve step after step in the order of the Dockerfile.

        Raises:
            BoxshipError: a step failed.
        """
        self._narrator.begin(plan)
        done: dict[int, Assembly] = {}
        for stage in plan.stages:
            base = done[stage.base_stage] if stage.base_stage is not None else begin(stage)
            done[stage.index] = await self._stage(stage, base, solver)
        return done[plan.stages[-1].index]

    async def _stage(self, stage: StagePlan, assembly: Assembly, solver: Solver) -> Assembly:
        self._narrator.step(stage.text)
        self._narrator.done(assembly.id)
        triggers = sum(step.trigger for step in stage.steps)
        if triggers:
            self._narrator.triggers(triggers)
        for step in stage.steps:
            if not step.trigger:
                self._narrator.step(step.text)
            result = await solver.solve(step.vertex)
            if result.cached:
                self._narrator.cached()
            assembly = assembly.step(step, result)
            self._narrator.done(assembly.id)
        return assembly

    async def _resolve(self, name: str, platform: Platform) -> Image:
        image = self._local(name, platform)
        if image is None or self.request.pull:
            image = await self._pull(name, platform)
        self._lease.add(image.id, image.target.digest)
        diff_ids = image.config.rootfs.diff_ids
        self._lease.add(*(layer.digest for layer in image.manifest.layers))
        self._lease.add(*(chain_id(diff_ids[: count + 1]) for count in range(len(diff_ids))))
        self._bases[image.id] = image
        return image

    def _local(self, name: str, platform: Platform) -> Image | None:
        try:
            image = self._images.resolve(name)
        except NotFoundError:
            return None
        fits = not image.config.architecture or platform.runs(image.config.platform)
        return image if fits else None

    async def _pull(self, name: str, platform: Platform) -> Image:
        domain = parse_reference(name).domain
        known = self.request.credentials
        credentials = known.get(domain)
        if credentials is None and domain == DEFAULT_DOMAIN:
            credentials = known.get(_HUB)
        asked = platform if platform != host_platform() else None
        return await self._images.pull(
            name, asked, credentials or Credentials(), self._narrator.pulled
        )
