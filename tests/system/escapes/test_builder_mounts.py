"""Mounts of build steps: CVE-2024-23651, CVE-2024-23652, CVE-2024-23653 and relatives.

The vulnerable builders took a mount's source or the mount point by path, in the build's root, while
or after the step could put a link there.
"""

import shutil
from pathlib import Path

import pytest

from tests.system.escapes import vulnerable
from tests.system.escapes.conftest import Link, Result, Target

pytestmark = pytest.mark.root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "victim").write_text("the host's")
    (place / "empty").touch()
    (place / "hollow").mkdir()
    return place


def untouched(outside: Path) -> bool:
    names = {one.name for one in outside.iterdir()}
    return names == {"victim", "empty", "hollow"} and not any((outside / "hollow").iterdir())


def build(target: Target, *lines: str) -> Result:
    return target.build("\n".join(("FROM probe", *lines)) + "\n", tag="built", cache=0)


# What the builder made to mount on, and what the step makes of its parent meanwhile.
MOUNTS = {
    "hollow": "--mount=type=tmpfs,target=/gone/hollow",
    "empty": "--mount=type=bind,from=probe,source=/etc/passwd,target=/gone/empty",
}


@pytest.mark.parametrize("name", MOUNTS)
@pytest.mark.parametrize("climb", ["", "/../../../../../../../.."])
def test_mount_points_are_removed_from_the_layer_alone(
    target: Target, outside: Path, name: str, climb: str
):
    # CVE-2024-23652: what the builder had made to mount on was deleted by its path afterwards.
    link = f"{climb}{outside}"
    # /gone is of the step's own making too: a directory of a lower layer cannot be renamed.
    step = f"RUN {MOUNTS[name]} mv /gone /moved && ln -s {link} /gone"
    made = build(target, step)
    assert made.code == 0, made.err
    assert target.run("built", "readlink", "/gone").out.strip() == link
    assert untouched(outside)


def test_removal_by_path_would_leave_the_layer(tmp_path: Path, outside: Path):
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "gone").symlink_to(outside)
    shutil.rmtree(layer / "gone/hollow")
    assert not untouched(outside)


SWAP = (
    "mkdir -p /c/d; touch /c/d/inside; i=0; while [ $i -lt 150 ]; do"
    " mv /c/d /c/real; ln -s {outside} /c/d; rm /c/d; mv /c/real /c/d; i=$((i+1)); done"
)


def test_a_source_in_a_cache_is_not_led_out(target: Target, outside: Path):
    # CVE-2024-23651: two steps shared a cache, one swapped what the other mounted a part of.
    cache = "--mount=type=cache,target=/c,id=raced"
    part = "--mount=type=cache,target=/m,id=raced,source={0}"
    left = f"RUN {cache} rm -rf /c/d; ln -s {outside} /c/d; ln -s {outside} /c/victim"
    for source in ("d", "/d", "../../d", "d/.", str(outside)):
        made = build(target, left, f"RUN {part.format(source)} ls /m /m/d > /seen; true")
        if made.code == 0:
            shown = target.run("built", "cat", "/seen").out
            assert "hollow" not in shown, source
    assert untouched(outside)


def test_a_swapped_source_is_not_led_out(target: Target, outside: Path):
    swap = f"RUN --mount=type=cache,target=/c,id=s {SWAP.format(outside=outside)}"
    context = target.host.tar({"Dockerfile": f"FROM probe\n{swap}\n".encode()})
    swapping = target.host.background("POST", "/build", context, nocache=1)
    part = "--mount=type=cache,target=/m,id=s,source=/d"
    while not swapping.done:
        build(target, f"RUN {part} ls /m /m/d > /seen; true")
        assert "hollow" not in target.run("built", "cat", "/seen").out
    swapping.outcome()
    assert untouched(outside)


def test_a_source_by_path_would_be_led_out(tmp_path: Path, outside: Path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/d").symlink_to(outside)
    (tmp_path / "m").mkdir()
    script = 'mount --bind "$1/cache/d" "$1/m" && ls "$1/m"'
    assert "hollow" in vulnerable.by_path(script, str(tmp_path))


def test_bound_sources_are_looked_up_in_their_tree(target: Target, outside: Path):
    image = target.image({"out": Link(str(outside)), "up": Link("../" * 14 + str(outside)[1:])})
    for access in ("ro", "rw"):
        for source in ("/out", "/up", "/out/victim", "../" * 14 + str(outside)[1:]):
            mount = f"--mount=type=bind,from={image},source={source},target=/m,{access}"
            made = build(target, f"RUN {mount} ls -R /m > /seen; echo x > /m/x; true")
            if made.code == 0:
                shown = target.run("built", "cat", "/seen").out
                assert "hollow" not in shown, (source, access)
            assert untouched(outside)


def test_targets_are_looked_up_in_the_root(target: Target, outside: Path):
    made = build(
        target,
        f"RUN ln -s {outside} /link; ln -s /proc/1/root /magic; ln -s ../../../.. /climb",
        f"RUN --mount=type=tmpfs,target=/link/made --mount=type=tmpfs,target=/climb{outside}/made"
        " touch /link/made/x; true",
    )
    assert made.code == 0, made.err
    assert untouched(outside)
    made = build(
        target,
        "RUN ln -s /proc/self/root/etc /magic",
        "RUN --mount=type=tmpfs,target=/magic true",
    )
    assert made.code == 1
    assert "symbolic links" in made.err


def test_steps_have_no_more_rights_than_containers(target: Target):
    # CVE-2024-23653: a build that nobody allowed it could ask for a privileged step.
    for flag in ("--security=insecure", "--network=host --security=insecure"):
        made = build(target, f"RUN {flag} true")
        assert made.code == 1
        assert "not allowed" in made.err
    build(target, "RUN cat /proc/self/status /proc/self/uid_map > /seen")
    words = target.run("built", "cat", "/seen").out.split()
    assert words[words.index("Seccomp:") + 1] == "2"
    assert words[-1] == "65536"
    inside = target.run("probe", "cat", "/proc/self/status").out.split()
    for kind in ("CapEff:", "CapPrm:", "CapBnd:", "CapInh:"):
        assert words[words.index(kind) + 1] == inside[inside.index(kind) + 1]
