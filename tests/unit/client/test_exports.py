"""What `import boxship` gives, and that it costs the command line nothing."""

import subprocess
import sys

import pytest

import boxship


def test_the_exports_are_these():
    assert boxship.__all__ == ["Client", "connect"]
    assert boxship.connect.__module__ == "boxship.client.client"
    assert boxship.Client.__module__ == "boxship.client.client"
    with pytest.raises(AttributeError, match="module 'boxship' has no attribute 'nothing'"):
        _ = boxship.nothing


def test_they_are_loaded_on_first_use():
    code = "import boxship, sys; print('boxship.client' in sys.modules, 'msgspec' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "False False\n"
