from pathlib import Path

import pytest

from boxship.errors import InvalidArgumentError
from boxship.kernel import capabilities


@pytest.mark.parametrize("name", ["CAP_NET_RAW", "net_raw", "Net_Raw", "cap_net_raw"])
def test_names_in_any_spelling(name: str) -> None:
    assert capabilities.number(name) == 13


def test_an_unknown_name() -> None:
    with pytest.raises(InvalidArgumentError, match="unknown capability 'fly'"):
        capabilities.number("fly")


def test_sets_and_names_agree() -> None:
    bits = capabilities.mask(("CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"))
    assert bits == 1 | 1 << 40
    assert capabilities.names(bits) == ("CAP_CHOWN", "CAP_CHECKPOINT_RESTORE")


def test_last_capability(tmp_path: Path) -> None:
    file = tmp_path / "cap_last_cap"
    file.write_text("37\n", encoding="ascii")
    assert capabilities.last_capability(str(file)) == 37
    assert capabilities.last_capability(str(tmp_path / "none")) == 40


def test_the_callers_sets_agree_with_proc() -> None:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
    effective, permitted, inheritable = capabilities.capget()
    assert effective == int(fields["CapEff"], 16)
    assert permitted == int(fields["CapPrm"], 16)
    assert inheritable == int(fields["CapInh"], 16)
    assert capabilities.bounding_set() == int(fields["CapBnd"], 16)
