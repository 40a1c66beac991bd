import re

import pytest

from boxship.engine.containers.check import check, security_options
from boxship.engine.containers.signals import signal_number
from boxship.engine.settings import EngineSettings
from boxship.errors import BoxshipError, InvalidArgumentError, UnsupportedError
from boxship.model.container import (
    ContainerConfig,
    HostConfig,
    LogConfig,
    PortBinding,
    Resources,
    RestartPolicy,
    Ulimit,
)

SETTINGS = EngineSettings(runtimes={"crun": ("/bin/crun",)})
CONFIG = ContainerConfig("image")


def test_a_plain_request_passes_without_warnings() -> None:
    assert check(CONFIG, HostConfig(), SETTINGS) == []
    assert check(CONFIG, HostConfig(runtime="crun"), SETTINGS) == []
    with pytest.raises(UnsupportedError, match="--init is not supported with runtime crun"):
        check(CONFIG, HostConfig(runtime="crun", init=True), SETTINGS)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (HostConfig(runtime="kata"), "unknown or invalid runtime name: kata"),
        (HostConfig(resources=Resources(memory=4096)), "Minimum memory limit allowed is 6MB"),
        (HostConfig(resources=Resources(memory_swap=1 << 30)), "You should always set the Memory"),
        (
            HostConfig(resources=Resources(memory=64 << 20, memory_swap=32 << 20)),
            "Minimum memoryswap limit should be larger than memory limit",
        ),
        (HostConfig(resources=Resources(nano_cpus=10**12)), "Range of CPUs is from 0.01 to"),
        (
            HostConfig(auto_remove=True, restart=RestartPolicy("always")),
            "can't create 'AutoRemove'",
        ),
        (HostConfig(log=LogConfig("syslog")), "log driver 'syslog' is not supported"),
        (HostConfig(log=LogConfig("nope")), "logger: no log driver named 'nope' is registered"),
        (HostConfig(log=LogConfig("json-file", {"x": "1"})), "unknown log opt 'x'"),
        (HostConfig(log=LogConfig("json-file", {"max-size": "big"})), "invalid size: 'big'"),
        (HostConfig(ulimits=(Ulimit("nofile", 10, 5),)), "ulimit soft limit must be less"),
        (HostConfig(port_bindings=(PortBinding(0),)), "invalid port specification"),
        (HostConfig(network_mode="container:"), "invalid container format"),
        (HostConfig(pid_mode="nope"), "invalid PID mode: nope"),
        (HostConfig(security_opt=("nope=1",)), 'invalid --security-opt 2: "nope=1"'),
        (HostConfig(security_opt=("apparmor=mine",)), "'apparmor=mine' is not supported"),
        (
            HostConfig(network_mode="container:x", port_bindings=(PortBinding(80),)),
            "conflicting options: port publishing and the container type network mode",
        ),
        (HostConfig(oom_score_adj=2000), "range for oom score adj is"),
        (HostConfig(shm_size=-1), "SHM size can not be less than 0"),
    ],
)
def test_wrong_host_options_are_named(host: HostConfig, text: str) -> None:
    with pytest.raises(BoxshipError, match=re.escape(text)):
        check(CONFIG, host, SETTINGS)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (ContainerConfig("i", working_dir="a"), "the working directory 'a' is invalid"),
        (ContainerConfig("i", stop_signal="SIGNOPE"), "Invalid signal: SIGNOPE"),
        (ContainerConfig("i", hostname="a/b"), "invalid hostname format: a/b"),
        (ContainerConfig("i", env=("=x",)), "invalid environment variable: =x"),
    ],
)
def test_wrong_configs_are_named(config: ContainerConfig, text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        check(config, HostConfig(), SETTINGS)


def test_security_options_are_read() -> None:
    options = ("no-new-privileges", "seccomp=unconfined", "label=disable", "apparmor:unconfined")
    found = security_options(options)
    assert found.no_new_privileges
    assert found.seccomp == "unconfined"
    assert not security_options(("no-new-privileges=false",)).no_new_privileges
    assert security_options(("no-new-privileges=1",)).no_new_privileges
    with pytest.raises(InvalidArgumentError, match="no-new-privileges=yes"):
        security_options(("no-new-privileges=yes",))
    with pytest.raises(UnsupportedError):
        security_options(("systempaths=unconfined",))


@pytest.mark.parametrize(
    ("name", "number"),
    [("TERM", 15), ("sigkill", 9), ("9", 9), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("RTMIN", 34)],
)
def test_signals(name: str, number: int) -> None:
    assert signal_number(name) == number


@pytest.mark.parametrize("name", ["", "0", "65", "SIG_DFL", "NOPE", "RTMIN+99"])
def test_no_signals(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="Invalid signal: "):
        signal_number(name)
