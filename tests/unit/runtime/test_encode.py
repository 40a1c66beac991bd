import json

import pytest

from boxship.runtime.spec.encode import dumps


@pytest.mark.parametrize(
    "value",
    [{"a": [1, -2.5, True, False, None, ()]}, 'quo"te\\ \n\x00 ü \U0001f600 \udc80', {}, 2**64],
)
def test_it_is_what_the_json_package_reads(value):
    assert json.loads(dumps(value)) == json.loads(json.dumps(value))
