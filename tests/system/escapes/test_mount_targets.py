"""Links of an image that stand where the engine mounts things.

CVE-2019-16884, CVE-2019-19921, CVE-2021-30465, CVE-2023-28642 and relatives.
"""

from pathlib import Path

import pytest

from tests.system.escapes import vulnerable
from tests.system.escapes.conftest import USER_NAMESPACES, Link

pytestmark = pytest.mark.root


@pytest.mark.parametrize("userns", USER_NAMESPACES)
@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("place", ["/", "/root", "..", "/proc", "tmp/../.."])
def test_proc_and_sys_are_not_mounted_behind_a_link(target, name, place, userns):
    # What is mounted over the root is found by `/..`, and its masks elsewhere.
    image = target.image({name: Link(place)})
    script = "exec 3> /../sys/kernel/core_pattern && echo writable; ls /../kernel /../keys"
    result = target.run(image, "sh", "-c", script, userns=userns)
    assert result.code == 125
    assert "writable" not in result.out
    assert "ordinary directory" in result.err or "Too many levels" in result.err


# Mounts, masks and volumes by path, as runtimes made them.
BY_PATH = """
cd "$1" && mkdir root outside && ln -s "$1/outside" root/proc
mount -t proc proc root/proc && ls outside
"""
OVER_PROC = """
cd "$1" && mkdir -p root/proc volume && echo fake > volume/exec
mount -t proc proc root/proc && mount --bind volume root/proc/$$/attr && cat root/proc/$$/attr/exec
"""
DEV_NULL = """
cd "$1" && mkdir -p root/dev root/proc && mount -t proc proc root/proc
ln -s /proc/sys/kernel/core_pattern root/dev/null
mount --bind root/dev/null root/proc/timer_list && cat root/proc/timer_list
"""


def test_mounts_by_path_follow_the_images_links(tmp_path):
    assert "uptime" in vulnerable.by_path(BY_PATH, str(tmp_path)).split()


def test_a_mask_of_the_images_null_device_shows_what_it_links_to(tmp_path):
    shown = vulnerable.by_path(DEV_NULL, str(tmp_path))
    assert shown == Path("/proc/sys/kernel/core_pattern").read_text()


def test_a_volume_by_path_covers_files_of_proc(tmp_path):
    # CVE-2019-16884: the runtime then writes the program's label to a file of the image.
    assert vulnerable.by_path(OVER_PROC, str(tmp_path)) == "fake\n"


@pytest.mark.parametrize("userns", USER_NAMESPACES)
@pytest.mark.parametrize("place", ["/proc", "/proc/1", "/proc/sys/kernel", "/proc/self/fd"])
def test_a_volume_does_not_cover_the_kernels_files(target, place, userns):
    image = target.image({"data": Link(place)})
    result = target.run("-v", "/data", image, "true", userns=userns)
    assert result.code == 125
    assert "inside /proc" in result.err or "Too many levels" in result.err


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_a_volume_does_not_cover_the_root(target, userns):
    image = target.image({"data": Link("/")})
    result = target.run("-v", "/data", image, "true", userns=userns)
    assert result.code == 125
    assert "it is the container's root" in result.err


@pytest.mark.parametrize("userns", USER_NAMESPACES)
@pytest.mark.parametrize("name", ["dev", "etc", "data", "etc/resolv.conf", "etc/hosts"])
def test_links_to_the_host_lead_into_the_container(target, tmp_path, name, userns):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("the host's")
    place = outside / "file" if "/" in name else outside
    image = target.image({name: Link(str(place))})
    climb = target.image({name: Link("../" * 12 + str(place).lstrip("/"))})
    for one in (image, climb):
        result = target.run("-v", "/data", one, "cat", str(outside / "file"), userns=userns)
        assert "the host's" not in result.out
    assert [entry.name for entry in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "the host's"


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_magic_links_are_not_followed(target, userns):
    for place in ("/proc/self/root/etc", "/proc/self/fd/3", "/proc/self/cwd", "/proc/1/ns/mnt"):
        image = target.image({"data": Link(place), "etc/resolv.conf": Link(place)})
        result = target.run("-v", "/data", image, "true", userns=userns)
        assert result.code == 125
        assert "Too many levels of symbolic links" in result.err


def test_devices_of_the_image_are_not_trusted(target):
    # CVE-2025-31133: a mask made of the container's own /dev/null would show another file.
    links = {"dev/null": Link("/etc/passwd"), "dev/console": Link("/proc/sysrq-trigger")}
    image = target.image({**links, "dev/pts": Link("/proc"), "dev/shm": Link("/proc")})
    result = target.run(
        "-t", image, "sh", "-c", "cat /proc/timer_list; ls -l /dev/null", userns="host"
    )
    assert "root:" not in result.out
    assert "1,   3" in result.out
    assert Path("/dev/null").stat().st_mode & 0o777 == 0o666


def test_passwd_files_of_the_image_cost_nothing(target):
    huge = {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n" * (1 << 20)}
    result = target.run("-u", "nobody", target.image(huge), "true")
    assert result.code == 125
    assert "/etc/passwd of the image has more than" in result.err
    wrapped = {"etc/passwd": b"web:x:4294967296:4294967296::/:/bin/sh\n"}
    result = target.run("-u", "web", target.image(wrapped), "id", "-u")
    assert result.code == 125
    assert "must be in range" in result.err
    for place in ("/proc/1/environ", "/dev/zero", "/proc/kmsg", "/proc/self/mem"):
        image = target.image({"etc/passwd": Link(place)})
        assert target.run(image, "echo", "runs", userns="host").out == "runs\n"
