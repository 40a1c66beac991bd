"""A field of another type than it should have is named; everything else passes."""

import pytest

from boxship.errors import InvalidArgumentError
from boxship.runtime.spec import shape
from boxship.runtime.spec.generate import SpecOptions, generate_spec

WHOLE = {"ociVersion": "1.2.0", "process": {"cwd": "/"}, "root": {"path": "rootfs"}}


def refused(**parts):
    with pytest.raises(InvalidArgumentError) as caught:
        shape.check({**WHOLE, **parts}, shape.DOCUMENT)
    return str(caught.value)


def test_a_generated_document_passes():
    shape.check(generate_spec(SpecOptions(argv=("true",), env=("A=b",))), shape.DOCUMENT)


def test_null_is_an_absent_field():
    shape.check({**WHOLE, "hooks": None, "linux": {"seccomp": None}}, shape.DOCUMENT)


def test_unknown_fields_are_ignored():
    shape.check({**WHOLE, "future": 1, "!": 2, "linux": {"future": [None]}}, shape.DOCUMENT)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"linux": []}, "linux must be an object, not an array"),
        ({"process": "sh"}, "process must be an object, not a string"),
        ({"process": {"cwd": "/", "args": "sh"}}, "process.args must be an array, not a string"),
        ({"process": {"cwd": "/", "args": ["a", 1]}}, "process.args[1] must be a string, not 1"),
        ({"process": {"cwd": 1}}, "process.cwd must be a string, not 1"),
        ({"process": {}}, "process.cwd is missing"),
        (
            {"process": {"cwd": "/", "terminal": "yes"}},
            "process.terminal must be a boolean, not a string",
        ),
        (
            {"process": {"cwd": "/", "user": {"uid": -1}}},
            "process.user.uid must be an integer from 0 to 4294967294, not -1",
        ),
        (
            {"process": {"cwd": "/", "user": {"uid": True}}},
            "process.user.uid must be an integer from 0 to 4294967294, not a boolean",
        ),
        (
            {"process": {"cwd": "/", "user": {"uid": 1.0}}},
            "process.user.uid must be an integer from 0 to 4294967294, not a number",
        ),
        (
            {"process": {"cwd": "/", "rlimits": [{"type": "RLIMIT_CORE", "soft": 1}]}},
            "process.rlimits[0].hard is missing",
        ),
        ({"mounts": [None]}, "mounts[0] must be an object, not null"),
        ({"annotations": {"a": 1}}, "annotations.a must be a string, not 1"),
        ({"hooks": {"poststop": {}}}, "hooks.poststop must be an array, not an object"),
        ({"hooks": {"poststop": [{}]}}, "hooks.poststop[0].path is missing"),
        (
            {"linux": {"seccomp": {"defaultAction": "x", "syscalls": [{"names": []}]}}},
            "linux.seccomp.syscalls[0].action is missing",
        ),
        ({"ociVersion": 1}, "ociVersion must be a string, not 1"),
        (
            {"linux": {"resources": {"rdma": {"mlx": 1}}}},
            "linux.resources.rdma.mlx must be an object, not 1",
        ),
        ({"hostname": "a\0b"}, "hostname has a character that cannot be used there"),
        ({"hostname": "\ud800"}, "hostname has a character that cannot be used there"),
        (
            {"linux": {"sysctl": {"a\0b": "1"}}},
            "a name in linux.sysctl has a character that cannot be used there",
        ),
    ],
)
def test_a_wrong_field_is_named(parts, words):
    assert words in refused(**parts)


def test_what_is_no_document_at_all():
    with pytest.raises(InvalidArgumentError, match="the document must be an object, not an array"):
        shape.check([], shape.DOCUMENT)


def test_text_beyond_ascii_passes():
    shape.check({**WHOLE, "annotations": {"a\0": "\ud800\0"}, "hostname": "bücher"}, shape.DOCUMENT)
