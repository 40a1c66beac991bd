"""`--mount`, `--volume` and `--tmpfs` to the API's mounts."""

import os

from boxship.cli.flags import UsageError
from boxship.cli.options.values import csv, pairs, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TRUE = ("", "1", "true")
_FALSE = ("0", "false")


def mount(text: str) -> "dict[str, Any]":
    """One `--mount type=...,source=...,target=...`.

    Raises:
        UsageError: an unknown key or a missing one.
    """
    result: dict[str, Any] = {"Type": "volume"}
    for field in csv(text):
        key, equals, value = field.partition("=")
        _field(result, key.strip().lower(), value, text, given=bool(equals))
    if "Target" not in result:
        raise UsageError(f'invalid argument "{text}" for "--mount" flag: target is required')
    source = result.get("Source", "")
    if result["Type"] == "bind" and source.startswith("."):
        result["Source"] = os.path.realpath(source)
    if result["Type"] == "bind" and not source:
        raise UsageError(f'invalid argument "{text}" for "--mount" flag: source is required')
    return result


def _field(  # noqa: C901, PLR0912 - one line a key
    result: "dict[str, Any]", key: str, value: str, text: str, *, given: bool
) -> None:
    if key == "type":
        result["Type"] = value.lower()
    elif key in ("source", "src"):
        result["Source"] = value
    elif key in ("target", "dst", "destination"):
        result["Target"] = value
    elif key in ("readonly", "ro"):
        result["ReadOnly"] = _boolean(value, text)
    elif key == "consistency":
        result["Consistency"] = value
    elif key == "bind-propagation":
        result.setdefault("BindOptions", {})["Propagation"] = value
    elif key == "bind-nonrecursive":
        result.setdefault("BindOptions", {})["NonRecursive"] = _boolean(value, text)
    elif key == "volume-nocopy":
        result.setdefault("VolumeOptions", {})["NoCopy"] = _boolean(value, text)
    elif key == "volume-label":
        labels = result.setdefault("VolumeOptions", {}).setdefault("Labels", {})
        labels.update(pairs([value]))
    elif key == "volume-driver":
        result.setdefault("VolumeOptions", {}).setdefault("DriverConfig", {})["Name"] = value
    elif key == "volume-opt":
        driver = result.setdefault("VolumeOptions", {}).setdefault("DriverConfig", {})
        driver.setdefault("Options", {}).update(pairs([value]))
    elif key == "tmpfs-size":
        result.setdefault("TmpfsOptions", {})["SizeBytes"] = size(value, "mount")
    elif key == "tmpfs-mode":
        result.setdefault("TmpfsOptions", {})["Mode"] = int(value, 8)
    else:
        problem = (
            f"unexpected key '{key}' in '{key}={value}'" if given else f"invalid field '{key}'"
        )
        raise UsageError(f'invalid argument "{text}" for "--mount" flag: {problem}')


def bind(text: str) -> str:
    """One `--volume`, a relative source made absolute."""
    source, colon, rest = text.partition(":")
    if colon and source.startswith((".", "~")):
        source = os.path.realpath(os.path.expanduser(source))  # noqa: PTH111 - pathlib costs 5 ms
    return f"{source}{colon}{rest}"


def _boolean(value: str, text: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise UsageError(f'invalid argument "{text}" for "--mount" flag: invalid value {value!r}')
