"""Images and builds by command line."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.api.clients import Client

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns, pytest.mark.slow]

Namer = Callable[[], str]


def test_tags(client: Client, name: Namer) -> None:
    tag = f"me/{name()}:v1"
    client("tag", "busybox", tag)
    listed = client("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", tag)
    assert listed == f"{tag} " + client("images", "-q", "busybox:latest")
    assert client("rmi", tag) == f"Untagged: {tag}"
    assert f"No such image: {tag}" in client.fails("rmi", tag)


def test_save_and_load(client: Client, name: Namer, tmp_path: Path) -> None:
    tag = f"{name()}:1"
    client("tag", "busybox", tag)
    client("save", "-o", str(tmp_path / "image.tar"), tag)
    with tarfile.open(tmp_path / "image.tar") as archive:
        file = archive.extractfile("manifest.json")
        assert file is not None
        assert json.load(file)[0]["RepoTags"] == [tag]
    client("rmi", tag)
    assert client("load", "-i", str(tmp_path / "image.tar")) == f"Loaded image: {tag}"
    client("rmi", tag)


def test_import(client: Client, name: Namer, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("there")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(tmp_path / "hello", "hello")
    tag = f"{name()}:1"
    changes = ("-c", 'CMD ["x", "y"]', "-c", "ENV A=b", "-c", "EXPOSE 80")
    made = client("import", *changes, str(tmp_path / "root.tar"), tag)
    assert made.startswith("sha256:")
    assert client("inspect", "-f", "{{json .Config.Cmd}} {{.Config.Env}}", tag) == (
        '["x","y"] [A=b]'
    )
    client("rmi", tag)


def test_what_is_no_archive_is_refused(client: Client, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"not a tar file")
    assert "truncated or damaged" in client.fails("load", "-i", str(tmp_path / "x.tar"))


def test_build(client: Client, name: Namer, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        "FROM busybox AS made\nARG WHO=nobody\nCOPY greeting /\n"
        "RUN echo $(cat /greeting) $WHO > /text\n"
        "FROM busybox\nCOPY --from=made /text /\nCMD cat /text\n"
    )
    (context / "greeting").write_text("hello")
    (context / "unwanted").write_text("x" * 1000)
    (context / ".dockerignore").write_text("unwanted\n")
    tag, id_file = name(), tmp_path / "id"
    printed = client(
        "build", "-t", tag, "--build-arg", "WHO=world", "--iidfile", str(id_file), str(context)
    )
    assert f"Successfully tagged {tag}:latest" in printed
    assert client("run", "--rm", "--network", "none", tag) == "hello world"
    assert client("inspect", "-f", "{{.Id}}", tag) == id_file.read_text()
    client("rmi", tag)


def test_hosts_of_a_build(client: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nRUN grep -c 'test$' /etc/hosts; grep test /etc/hosts\n"
    )
    hosts = ("--add-host", "one.test:127.0.0.1", "--add-host", "two.test:127.0.0.2")
    printed = client("build", "--no-cache", *hosts, str(tmp_path))
    assert "127.0.0.1\tone.test\n127.0.0.2\ttwo.test" in printed


def test_a_failing_build_says_which_command(client: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo before; exit 7\n")
    failed = client.fails("build", str(tmp_path), code=7)
    assert "exit 7' returned a non-zero code: 7" in failed


@pytest.mark.parametrize(
    ("dockerfile", "complaint"),
    [
        ("FROM busybox\nNONSENSE x\n", "unknown instruction: NONSENSE"),
        ("RUN true\n", "no build stage"),
        ("", "file with no instructions"),
        ("FROM busybox\nCOPY nosuch /\n", "nosuch"),
    ],
)
def test_a_wrong_dockerfile_is_refused(
    client: Client, tmp_path: Path, dockerfile: str, complaint: str
) -> None:
    (tmp_path / "Dockerfile").write_text(dockerfile)
    assert complaint.lower() in client.fails("build", str(tmp_path)).lower()


def test_system(client: Client) -> None:
    assert client("version", "--format", "{{.Server.APIVersion}}") == "1.51"
    info = "{{.Driver}} {{.Swarm.LocalNodeState}} {{.OSType}}"
    assert client("info", "--format", info) == "overlay2 inactive linux"
    assert client("system", "df").startswith("TYPE")
    client("container", "prune", "-f")
    client("volume", "prune", "-f")
    client("network", "prune", "-f")
    client("image", "prune", "-f")
