import pytest

from boxship.engine.image_changes import apply_changes
from boxship.errors import InvalidArgumentError
from boxship.model.image import ImageRunConfig


def test_instructions_change_the_config() -> None:
    config = apply_changes(
        ImageRunConfig(env=("A=1",)),
        [
            'CMD ["sh", "-c", "x"]',
            "ENV B=$A C='2 3'",
            "EXPOSE 80 53/udp",
            "LABEL k=v",
            "USER www",
            "VOLUME /data",
            "WORKDIR /srv",
            "WORKDIR app",
            "STOPSIGNAL SIGINT",
        ],
    )
    assert config.cmd == ("sh", "-c", "x")
    assert config.env == ("A=1", "B=1", "C=2 3")
    assert set(config.exposed_ports) == {"80/tcp", "53/udp"}
    assert (config.user, config.working_dir, config.stop_signal) == ("www", "/srv/app", "SIGINT")
    assert config.labels == {"k": "v"}
    assert set(config.volumes) == {"/data"}


@pytest.mark.parametrize("change", ["RUN x", "COPY a b", "FROM x", "NOPE"])
def test_others_are_refused(change: str) -> None:
    with pytest.raises(InvalidArgumentError):
        apply_changes(ImageRunConfig(), [change])
