"""COPY and ADD: Docker's rules, hostile contexts and hostile images."""

import contextlib
import hashlib
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from boxship.errors import BoxshipError, InvalidArgumentError, NotFoundError

pytestmark = [pytest.mark.root, pytest.mark.overlayfs]


@pytest.fixture(params=["directory", "archive"], autouse=True)
def kind(request: pytest.FixtureRequest, workshop) -> None:
    """Every test with the context as a directory and as the archive that clients send."""
    workshop.packed = request.param == "archive"


STAT = "-exec stat -c '%n %F %a %u:%g' {} +"


def shown(workshop, dockerfile: str, *paths: str) -> list[str]:
    """What the paths look like in the image, one line an entry."""
    workshop.build(f"FROM busybox\n{dockerfile}\nRUN find {' '.join(paths)} {STAT}")
    return sorted(line for line in workshop.told.splitlines() if line.startswith("/"))


def test_of_a_directory_the_contents_are_copied(workshop):
    workshop.write("d/f", "1", 0o640)
    workshop.write("d/sub/g", "2")
    (workshop.context / "d/sub").chmod(0o750)
    (workshop.context / "d").chmod(0o711)
    (workshop.context / "d/l").symlink_to("f")
    (workshop.context / "d/empty").mkdir()
    os.chown(workshop.context / "d/f", 33, 33)
    assert shown(workshop, "COPY d /new/deep", "/new") == [
        "/new directory 755 0:0",
        "/new/deep directory 755 0:0",
        "/new/deep/empty directory 755 0:0",
        "/new/deep/f regular file 640 0:0",
        "/new/deep/l symbolic link 777 0:0",
        "/new/deep/sub directory 750 0:0",
        "/new/deep/sub/g regular file 644 0:0",
    ]


def test_where_a_file_goes(workshop):
    workshop.write("f", "1")
    workshop.write("g", "2")
    text = "COPY f /a/b\nCOPY f /a/c/\nCOPY f /usr\nCOPY f g rel/\nWORKDIR /w\nCOPY f .\nCOPY f x"
    assert shown(workshop, text, "/a", "/usr/f", "/rel", "/w") == [
        "/a directory 755 0:0",
        "/a/b regular file 644 0:0",
        "/a/c directory 755 0:0",
        "/a/c/f regular file 644 0:0",
        "/rel directory 755 0:0",
        "/rel/f regular file 644 0:0",
        "/rel/g regular file 644 0:0",
        "/usr/f regular file 644 0:0",
        "/w directory 755 0:0",
        "/w/f regular file 644 0:0",
        "/w/x regular file 644 0:0",
    ]


def test_existing_directories_are_joined_and_take_the_metadata(workshop):
    workshop.write("d/sub/new")
    (workshop.context / "d/sub").chmod(0o777)
    before = "RUN mkdir -p /e/sub && chmod 700 /e /e/sub && echo x > /e/old\n"
    assert shown(workshop, before + "COPY d /e", "/e") == [
        "/e directory 700 0:0",
        "/e/old regular file 644 0:0",
        "/e/sub directory 777 0:0",
        "/e/sub/new regular file 644 0:0",
    ]


def test_owner_and_mode(workshop):
    workshop.write("d/f")
    users = "RUN echo bob:x:1000:1001::/:/bin/sh >> /etc/passwd; echo staff2:x:77: >> /etc/group\n"
    text = (
        "COPY --chown=bob d /c1\nCOPY --chown=7 d/f /c2\nCOPY --chown=7:staff2 d/f /c3\n"
        "COPY --chmod=0600 d/f /c4\nCOPY --chmod=4755 d/f /c5"
    )
    assert shown(workshop, users + text, "/c1", "/c2", "/c3", "/c4", "/c5") == [
        "/c1 directory 755 1000:1001",
        "/c1/f regular file 644 1000:1001",
        "/c2 regular file 644 7:7",
        "/c3 regular file 644 7:77",
        "/c4 regular file 600 0:0",
        "/c5 regular file 4755 0:0",
    ]
    with pytest.raises(InvalidArgumentError, match="unable to find user zed"):
        workshop.build("FROM busybox\nCOPY --chown=zed d /x")


def test_from_a_stage_owners_stay(workshop):
    workshop.build(
        "FROM busybox AS s\nRUN mkdir /o && echo x > /o/f && chown -R 5:6 /o && ln /o/f /o/hard\n"
        f"FROM busybox\nCOPY --from=s /o /p\nCOPY --from=0 /o/f /q\nRUN find /p /q {STAT}; "
        "stat -c %h /p/f"
    )
    lines = sorted(line for line in workshop.told.splitlines() if line.startswith("/"))
    assert lines == [
        "/p directory 755 0:0",
        "/p/f regular file 644 5:6",
        "/p/hard regular file 644 5:6",
        "/q regular file 644 5:6",
    ]
    assert "2\n" in workshop.told


def test_from_an_image(workshop):
    image = workshop.build("FROM scratch\nCOPY --from=busybox:latest /bin/busybox /b")
    assert workshop.layers(image) == [["b"]]


def test_wildcards(workshop):
    for name in ("a1.txt", "a2.txt", "b.md", "d/c.txt"):
        workshop.write(name, name)
    assert [line.split()[0] for line in shown(workshop, "COPY *.txt d/?.txt /w/", "/w")] == [
        "/w",
        "/w/a1.txt",
        "/w/a2.txt",
        "/w/c.txt",
    ]
    with pytest.raises(InvalidArgumentError, match="When using COPY with more than one source"):
        workshop.build("FROM busybox\nCOPY *.txt /w")


def test_excludes_and_ignore_file(workshop):
    for name in ("src/a.c", "src/a.o", "src/deep/b.o", "src/deep/keep.o", "src/only/x.log"):
        workshop.write(name)
    workshop.write(".dockerignore", "**/*.o\n!**/keep.o\nsrc/only\n")
    found = shown(workshop, "COPY --exclude=*.c src /s", "/s")
    assert [line.split()[0] for line in found] == ["/s", "/s/deep", "/s/deep/keep.o"]
    with pytest.raises(NotFoundError, match=r"excluded by \.dockerignore: stat src/a\.o"):
        workshop.build("FROM busybox\nCOPY src/a.o /x")


def test_parents(workshop):
    workshop.write("x/y/a.txt")
    workshop.write("x/z/b.txt")
    found = shown(
        workshop, "COPY --parents x/*/*.txt /p/\nCOPY --parents ./x/./y/a.txt /q/", "/p", "/q"
    )
    assert [line.split()[0] for line in found] == [
        "/p",
        "/p/x",
        "/p/x/y",
        "/p/x/y/a.txt",
        "/p/x/z",
        "/p/x/z/b.txt",
        "/q",
        "/q/y",
        "/q/y/a.txt",
    ]


def test_heredocs(workshop):
    workshop.build(
        "FROM busybox\nENV v=1\nCOPY <<one <<'two' /h/\na $v\none\nb $v\ntwo\n"
        "COPY --chmod=755 <<EOF /s\nx\nEOF\nRUN cat /h/one /h/two; ls -l /s"
    )
    assert "a 1\nb $v\n" in workshop.told
    assert "-rwxr-xr-x" in workshop.told


def test_links_in_the_context_stay_in_it(workshop, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_text("host secret")
    (workshop.context / "abs").symlink_to(outside)
    (workshop.context / "up").symlink_to("../outside")
    (workshop.context / "dir").symlink_to("/etc")
    for source in ("abs", "up", "dir", "dir/passwd", "../outside", "/../../etc/passwd"):
        with pytest.raises(NotFoundError, match="file does not exist"):
            workshop.build(f"FROM busybox\nCOPY {source} /x")
    (workshop.context / "d").mkdir()
    (workshop.context / "d/l").symlink_to(outside)
    assert shown(workshop, "COPY d /d", "/d") == [
        "/d directory 755 0:0",
        "/d/l symbolic link 777 0:0",
    ]


def test_a_dockerfile_that_is_a_link_out_of_the_context(workshop, tmp_path: Path):
    (tmp_path / "outside").write_text("FROM busybox\n")
    (workshop.context / "Dockerfile").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidArgumentError, match="Cannot locate specified Dockerfile"):
        workshop.build(None)


@pytest.mark.parametrize("link", ["{}", "../../../../../../../../../../{}"])
def test_links_in_the_image_stay_in_it(workshop, tmp_path: Path, link: str):
    victim = tmp_path / "victim"
    victim.mkdir()
    workshop.write("f", "evil")
    workshop.write("d/g", "evil")
    target = link.format(victim)
    image = workshop.build(
        f"FROM busybox\nRUN ln -s {target} /link && ln -s {target}/f /file\n"
        "COPY f /link/x/y\nCOPY d /link\nCOPY f /file\nWORKDIR /link/w\nADD f /link/"
    )
    assert list(victim.iterdir()) == []
    inside = str(victim).lstrip("/")
    names = {name for layer in workshop.layers(image)[1:] for name in layer}
    assert {f"{inside}/x/y", f"{inside}/g", f"{inside}/f", f"{inside}/w"} <= names


def test_a_directory_onto_a_link_to_a_directory(workshop):
    workshop.write("root/lib/new", "n")
    found = shown(
        workshop, "RUN mkdir /usr/lib9 && ln -s usr/lib9 /lib\nCOPY root /", "/lib", "/usr/lib9"
    )
    assert found == [
        "/lib symbolic link 777 0:0",
        "/usr/lib9 directory 755 0:0",
        "/usr/lib9/new regular file 644 0:0",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("COPY f /etc/passwd/x", "Not a directory"),
        ("COPY d /etc/passwd", "Not a directory"),
        ("COPY d/f2 /e\nCOPY d /e", "Not a directory"),
        ("RUN mkdir -p /t/f2\nCOPY d /t", "cannot replace directory f2 with a file"),
    ],
)
def test_things_in_the_way(workshop, text: str, message: str):
    workshop.write("f", "")
    workshop.write("d/f2", "")
    with pytest.raises(BoxshipError, match=message):
        workshop.build(f"FROM busybox\n{text}")


def test_a_file_replaces_a_link_inside_a_copied_directory(workshop):
    workshop.write("d/name", "new")
    found = shown(workshop, "RUN mkdir /t && ln -s /etc/passwd /t/name\nCOPY d /t", "/t")
    assert "/t/name regular file 644 0:0" in found


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_add_unpacks_local_archives(workshop, compression: str):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as archive:
        member = tarfile.TarInfo("in/file")
        member.uid, member.size = 9, 2
        archive.addfile(member, io.BytesIO(b"hi"))
    (workshop.context / "no-tar-name").write_bytes(data.getvalue())
    assert shown(workshop, "ADD no-tar-name /a\nCOPY no-tar-name /c", "/a", "/c") == [
        "/a directory 755 0:0",
        "/a/in directory 755 0:0",
        "/a/in/file regular file 644 9:0",
        "/c regular file 644 0:0",
    ]


def test_add_copies_what_is_no_archive(workshop):
    workshop.write("x.tar.gz", "not an archive")
    workshop.write("d/f", "")
    found = shown(workshop, "ADD x.tar.gz d /a/", "/a")
    assert [line.split()[0] for line in found] == ["/a", "/a/f", "/a/x.tar.gz"]


def test_a_hostile_archive_stays_in_the_image(workshop, tmp_path: Path):
    with tarfile.open(workshop.context / "evil.tar", "w") as archive:
        link = tarfile.TarInfo("l")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        member = tarfile.TarInfo("l/escaped")
        archive.addfile(member, io.BytesIO())
    with contextlib.suppress(InvalidArgumentError):
        workshop.build("FROM busybox\nADD evil.tar /a")
    assert not (tmp_path / "escaped").exists()


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/file.txt":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Last-Modified", "Mon, 01 Jan 2001 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(b"remote")

        def log_message(self, *_: object) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_add_a_url(workshop, server: str):
    good = "sha256:" + hashlib.sha256(b"remote").hexdigest()
    text = f"ADD --checksum={good} {server}/file.txt /u/\nADD {server}/file.txt /v"
    found = shown(workshop, text + "\nRUN stat -c 'time %Y' /v", "/u", "/v")
    assert found == [
        "/u directory 755 0:0",
        "/u/file.txt regular file 600 0:0",
        "/v regular file 600 0:0",
    ]
    assert "time 978307200" in workshop.told
    with pytest.raises(InvalidArgumentError, match="digest mismatch"):
        workshop.build(f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {server}/file.txt /u")
    with pytest.raises(BoxshipError, match="404"):
        workshop.build(f"FROM busybox\nADD {server}/nope /u")
    with pytest.raises(BoxshipError, match="cannot determine filename"):
        workshop.build(f"FROM busybox\nADD {server}/ /u/")


def test_extended_attributes_come_along(workshop):
    place = workshop.write("d/f", "x")
    os.setxattr(place, "user.note", b"kept")
    image = workshop.build("FROM busybox\nCOPY d /d")
    layer = workshop.content.path(image.manifest.layers[-1].digest)
    listing = subprocess.run(
        ["tar", "--xattrs", "-tvvzf", str(layer)], check=True, capture_output=True, text=True
    ).stdout
    assert "user.note" in listing


def test_a_fifo_is_copied_and_not_read(workshop):
    (workshop.context / "d").mkdir()
    os.mkfifo(workshop.context / "d/fifo", 0o600)
    assert shown(workshop, "COPY d /d", "/d")[1] == "/d/fifo fifo 600 0:0"
    with pytest.raises(InvalidArgumentError, match="neither a file nor a directory"):
        workshop.build("FROM busybox\nCOPY d/fifo /x")
