"""What a build tells while it works, in the classic builder's words."""

from collections.abc import Callable

from boxship.builder.convert import Plan
from boxship.builder.request import BuildEvent
from boxship.image.progress import Progress
from boxship.model.digest import Digest, hex_of

Output = Callable[[BuildEvent], None]


class Narrator:
    """Numbers the steps and words the events."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._total = 0
        self._number = 0
        self._container = ""

    def begin(self, plan: Plan) -> None:
        """Count the steps; those of triggers have no number, as they are not in the file."""
        own = sum(not step.trigger for stage in plan.stages for step in stage.steps)
        self._total = len(plan.globals) + len(plan.stages) + own
        for text in plan.globals:
            self.step(text)

    def step(self, text: str) -> None:
        self._number += 1
        self.say(f"Step {self._number}/{self._total} : {text}\n")

    def triggers(self, count: int) -> None:
        plural = "" if count == 1 else "s"
        self.say(f"# Executing {count} build trigger{plural}\n")

    def running(self, container: str) -> None:
        self._container = container[:12]
        self.say(f" ---> Running in {self._container}\n")

    def cached(self) -> None:
        self.say(" ---> Using cache\n")

    def done(self, image: Digest) -> None:
        if self._container:
            self.say(f"Removing intermediate container {self._container}\n")
            self._container = ""
        self.say(f" ---> {hex_of(image)[:12]}\n")

    def built(self, image: Digest) -> None:
        self._output(BuildEvent(image_id=image))
        self.say(f"Successfully built {hex_of(image)[:12]}\n")

    def tagged(self, name: str) -> None:
        self.say(f"Successfully tagged {name}\n")

    def say(self, text: str) -> None:
        self._output(BuildEvent(text=text))

    def wrote(self, stream: str, data: bytes) -> None:
        """Output of a command, as it comes."""
        self._output(BuildEvent(text=data.decode(errors="replace"), stream=stream))

    def pulled(self, record: Progress) -> None:
        """Progress of a base image's pull."""
        if record.id:
            event = BuildEvent(
                text=record.status, layer=record.id, current=record.current, total=record.total
            )
            self._output(event)
        elif record.status:
            self.say(record.status + "\n")
