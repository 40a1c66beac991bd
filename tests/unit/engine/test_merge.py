import pytest

from boxship.engine.containers.merge import argv, merge, process_env
from boxship.errors import InvalidArgumentError
from boxship.model.container import ContainerConfig, Healthcheck
from boxship.model.image import HealthcheckDocument, ImageRunConfig

IMAGE = ImageRunConfig(
    user="www",
    exposed_ports={"80": {}, "443/tcp": {}},
    env=("PATH=/bin", "A=image"),
    entrypoint=("/entry",),
    cmd=("serve",),
    volumes={"/data": {}},
    working_dir="/srv",
    labels={"a": "image", "b": "image"},
    stop_signal="SIGQUIT",
)


def request(**fields: object) -> ContainerConfig:
    return ContainerConfig("image", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entrypoint", "command", "expected"),
    [
        (None, None, ("/entry", "serve")),
        (None, ("x", "y"), ("/entry", "x", "y")),
        (("/mine",), None, ("/mine",)),
        (("/mine",), ("x",), ("/mine", "x")),
        (("",), ("x",), ("x",)),
        ((), None, ("/entry", "serve")),
        (None, (), ("/entry", "serve")),
    ],
)
def test_entrypoint_and_command(
    entrypoint: tuple[str, ...] | None,
    command: tuple[str, ...] | None,
    expected: tuple[str, ...],
) -> None:
    assert argv(merge(request(entrypoint=entrypoint, command=command), IMAGE)) == expected


def test_no_command_at_all_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no command specified"):
        merge(request(), ImageRunConfig())
    with pytest.raises(InvalidArgumentError, match="no command specified"):
        merge(request(entrypoint=("",)), IMAGE)


def test_the_request_wins_where_both_speak() -> None:
    merged = merge(
        request(
            env=("A=mine", "C=mine"),
            labels={"a": "mine"},
            exposed_ports=("443/tcp", "53/udp"),
            user="root",
        ),
        IMAGE,
    )
    assert merged.env == ("A=mine", "C=mine", "PATH=/bin")
    assert merged.labels == {"a": "mine", "b": "image"}
    assert merged.exposed_ports == ("443/tcp", "53/udp", "80/tcp")
    assert (merged.user, merged.working_dir, merged.stop_signal) == ("root", "/srv", "SIGQUIT")
    assert merged.volumes == ("/data",)


def test_a_healthcheck_is_completed_from_the_images() -> None:
    image = ImageRunConfig(
        cmd=("x",), healthcheck=HealthcheckDocument(test=("CMD", "ok"), interval=5, retries=2)
    )
    merged = merge(request(healthcheck=Healthcheck(interval=9)), image)
    assert merged.healthcheck == Healthcheck(test=("CMD", "ok"), interval=9, retries=2)
    own = Healthcheck(test=("NONE",))
    assert merge(request(healthcheck=own), image).healthcheck == own


def test_the_environment_has_defaults_below_links_below_configuration() -> None:
    config = request(env=("TERM=dumb", "HOSTNAME", "X=1=2"), hostname="h", tty=True)
    env = process_env(config, ("DB=tcp://1",))
    assert env == (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM=dumb",
        "DB=tcp://1",
        "X=1=2",
    )
