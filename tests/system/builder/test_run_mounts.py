"""RUN --mount: bind, cache, tmpfs and secret."""

import pytest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs]


@pytest.fixture(params=["directory", "archive"], autouse=True)
def kind(request: pytest.FixtureRequest, workshop) -> None:
    """Every test with the context as a directory and as the archive that clients send."""
    workshop.packed = request.param == "archive"


def test_bind_of_the_context_is_read_only_and_counts_for_the_cache(workshop):
    workshop.write("in/f", "one")
    text = "FROM busybox\nRUN --mount=source=in,target=/m cat /m/f && ! touch /m/x 2>/dev/null"
    image = workshop.build(text)
    assert "one" in workshop.told
    assert workshop.layers(image)[1:] == []
    workshop.build(text)
    assert workshop.cached == 1
    workshop.write("in/f", "two")
    workshop.build(text)
    assert "two" in workshop.told


def test_a_writable_bind_changes_nothing(workshop):
    workshop.write("f", "one")
    workshop.build("FROM busybox\nRUN --mount=target=/m,rw echo two > /m/f && cat /m/f")
    assert "two" in workshop.told
    assert (workshop.context / "f").read_text() == "one"


def test_bind_of_a_file_and_of_what_dockerignore_leaves(workshop):
    workshop.write("f", "file")
    workshop.write("secret", "s")
    workshop.write(".dockerignore", "secret")
    workshop.build(
        "FROM busybox\nRUN --mount=source=f,target=/m cat /m\nRUN --mount=target=/c ls /c"
    )
    assert "file" in workshop.told
    assert "secret\n" not in workshop.told


@pytest.mark.parametrize("source", ["/", "/o", "/o/f"])
def test_bind_of_a_stage(workshop, source: str):
    target = {"/": "/m/o/f", "/o": "/m/f", "/o/f": "/m"}[source]
    workshop.build(
        "FROM busybox AS s\nRUN mkdir /o && echo staged > /o/f\nRUN touch /more\n"
        f"FROM busybox\nRUN --mount=from=s,source={source},target=/m cat {target}"
    )
    assert "staged" in workshop.told


def test_a_cache_outlives_the_build_and_stays_out_of_the_image(workshop):
    text = (
        "FROM busybox\nARG n\nRUN --mount=type=cache,id=c,target=/c echo $n >> /c/log && cat /c/log"
    )
    workshop.build(text, args={"n": "1"})
    image = workshop.build(text, args={"n": "2"})
    assert "1\n2\n" in workshop.told
    assert workshop.layers(image)[1:] == []


def test_a_cache_begins_with_a_stage(workshop):
    workshop.build(
        "FROM busybox AS s\nRUN mkdir /o && echo seed > /o/f\nFROM busybox\n"
        "RUN --mount=type=cache,from=s,source=/o,target=/c,sharing=locked,uid=5,mode=0700 "
        "cat /c/f && stat -c %u:%a /c"
    )
    assert "seed\n5:700\n" in workshop.told


def test_tmpfs(workshop):
    workshop.build("FROM busybox\nRUN --mount=type=tmpfs,target=/t,size=1m df -k /t | tail -1")
    assert "1024" in workshop.told


def test_secrets(workshop):
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=a --mount=type=secret,id=b,env=B "
        "--mount=type=secret,id=absent cat /run/secrets/a; echo $B; ls -l /run/secrets"
    )
    image = workshop.build(text, secrets={"a": b"alpha", "b": b"beta"})
    assert "alphabeta\n" in workshop.told
    assert "-r--------" in workshop.told
    assert workshop.layers(image)[1:] == []
    assert not any("alpha" in (entry.created_by or "") for entry in image.config.history)
    workshop.build(text, secrets={"a": b"other"})
    assert workshop.cached == 1
