"""A container without root: what its process sees, from `run` to its end."""

import json
import os
import stat
from pathlib import Path

import pytest

from tests.system.rootless.conftest import GID, SUBORDINATE, UID, share_library

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.slow]


def test_a_container_runs_as_the_user_itself(box):
    script = "id -u; id -g; cat /proc/self/uid_map; hostname; echo $$; echo x > /tmp/made"
    done = box.shell(script).run()
    assert done.code == 0, done.err
    assert done.out.split() == ["0", "0", "0", str(UID), "1", "box", "1"]
    made = Path(box.spec["root"]["path"]) / "tmp/made"
    assert (made.stat().st_uid, made.stat().st_gid) == (UID, GID)
    assert stat.S_IMODE(made.stat().st_mode) == 0o644


def test_its_exit_code_and_signal_come_back(box, make_box):
    assert box.shell("exit 7").run().code == 7
    assert make_box(box.user).shell("exec no-such-program").run().code == 127


def test_devices_and_file_systems_are_there(box):
    script = (
        "echo x > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c;"
        " ls -d /dev/shm /dev/mqueue /dev/pts /dev/fd /proc/1/root /sys/class;"
        " touch /sys/x 2>/dev/null || echo sealed; echo 1 > /proc/sys/vm/swappiness || echo kept;"
        " cat /proc/sysrq-trigger 2>/dev/null; ls /proc/acpi 2>/dev/null | wc -l"
    )
    done = box.shell(script).run()
    lines = done.out.split()
    assert lines[:2] == ["4", "4"], done
    assert "sealed" in lines
    assert "kept" in lines


def test_nothing_of_the_hosts_sys_can_be_written(box):
    done = box.shell("grep ' /sys' /proc/self/mounts").run()
    options = [line.split()[3].split(",") for line in done.out.splitlines()]
    assert options, done.err
    assert all("ro" in words for words in options)


def test_a_network_of_its_own_has_loopback_only(box):
    box.linux["namespaces"].append({"type": "network"})
    done = box.shell("cat /sys/class/net/lo/operstate; ip -o link | wc -l").run()
    assert done.out.split()[-1] == "1", done.err


def test_no_new_privileges_capabilities_and_filter_hold(box):
    box.process["noNewPrivileges"] = True
    box.process["capabilities"] = {
        kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted")
    }
    done = box.shell("grep -E 'NoNewPrivs|CapEff|CapBnd|Seccomp:' /proc/self/status").run()
    found = dict(line.split(":\t") for line in done.out.splitlines())
    assert found == {
        "CapEff": "0000000000000020",
        "CapBnd": "0000000000000020",
        "NoNewPrivs": "1",
        "Seccomp": "2",
    }


def test_a_terminal_works(box):
    box.process["terminal"] = True
    done = box.shell("tty; test -t 1 && echo terminal").run()
    assert "terminal" in done.out, done.err


def test_no_pivot(box):
    done = box.shell("ls /; pwd").run("--no-pivot")
    assert "bin" in done.out.split(), done.err


def test_hooks_run_as_the_user(box):
    place = box.user.home / "hooks"
    words = ["sh", "-c", f"id -u >> {place}; cat > /dev/null"]
    names = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    box.spec["hooks"] = {name: [{"path": "/bin/sh", "args": words}] for name in names}
    done = box.run()
    assert done.code == 0, done.err
    # createContainer is in the container's namespaces, and root there.
    assert place.read_text().split() == [str(UID), str(UID), "0", str(UID), str(UID)]


def test_a_score_may_rise_and_not_fall(box, make_box):
    box.process["oomScoreAdj"] = 700
    done = box.shell("cat /proc/self/oom_score_adj").run()
    assert done.out.strip() == "700", done.err
    low = make_box(box.user)
    low.process["oomScoreAdj"] = -500
    done = low.run()
    assert done.code == 0, done.err
    assert "lowering it to -500 is not permitted" in done.err


def test_a_directory_of_the_user_is_mounted(box):
    source = box.user.home / "data"
    source.mkdir()
    os.chown(source, UID, GID)
    bind = {"type": "bind", "source": str(source), "destination": "/mnt", "options": ["rbind"]}
    box.spec["mounts"].append(bind)
    done = box.shell("echo hello > /mnt/file").run()
    assert done.code == 0, done.err
    assert (source / "file").read_text() == "hello\n"


def test_ranges_give_more_users(rich_user, make_box):
    box = make_box(rich_user).ranges()
    box.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5]}
    done = box.shell("id -u; id -G; echo x > /tmp/ranged").run()
    assert done.code == 0, done.err
    assert done.out.split() == ["1000", "1000", "5"]
    made = (Path(box.spec["root"]["path"]) / "tmp/ranged").stat()
    assert made.st_uid == SUBORDINATE + 999


def test_the_specification_of_the_command_line_runs(place, user, make_box):
    if not share_library(place):
        pytest.skip("the plain interpreter is of another version")
    box = make_box(user)
    made = user.runtime("spec", "--rootless", "--bundle", str(box.bundle))
    assert made.code == 0, made.err
    box.spec = {**json.loads((box.bundle / "config.json").read_text()), "root": box.spec["root"]}
    box.process["terminal"] = False
    done = box.shell("id -u").run()
    assert done.out.strip() == "0", done.err


def test_clocks_can_be_set_and_exec_sees_them(box):
    days = 10 * 86_400
    box.linux["namespaces"].append({"type": "time"})
    box.linux["timeOffsets"] = {"boottime": {"secs": days}}
    box.shell("sleep 100").start()
    assert float(box.execute("cat", "/proc/uptime").out.split()[0]) > days


def test_what_the_kernel_serves_nobody_is_refused_by_name(box):
    box.process["scheduler"] = {"policy": "SCHED_OTHER", "nice": -5}
    done = box.run()
    assert done.code == 1
    assert "cannot honour process.scheduler: sched_setattr" in done.err
