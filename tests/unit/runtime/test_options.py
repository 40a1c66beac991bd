import pytest

from boxship.errors import InvalidArgumentError
from boxship.kernel import abi
from boxship.runtime.filesystem.options import parse, root_propagation


def test_words_are_sorted_by_the_call_that_carries_them_out():
    options = parse(["rbind", "ro", "rnosuid", "rslave", "size=1m", "huge"])
    assert options.bind
    assert options.recursive
    assert options.set == abi.MOUNT_ATTR_RDONLY
    assert options.set_below == abi.MOUNT_ATTR_NOSUID
    assert (options.propagation, options.propagation_below) == (abi.MS_SLAVE, True)
    assert options.data == [("size", "1m"), ("huge", None)]


def test_the_last_of_contradicting_words_wins():
    options = parse(["ro", "rw"])
    assert (options.set, options.clear) == (0, abi.MOUNT_ATTR_RDONLY)
    options = parse(["rw", "ro"])
    assert (options.set, options.clear) == (abi.MOUNT_ATTR_RDONLY, 0)


def test_an_access_time_mode_replaces_the_others():
    options = parse(["strictatime"])
    assert options.set == abi.MOUNT_ATTR_STRICTATIME
    # The kernel wants all of the field cleared when any mode is set (mount_setattr(2)).
    assert options.clear == abi.MOUNT_ATTR__ATIME
    assert parse(["strictatime", "noatime"]).set == abi.MOUNT_ATTR_NOATIME


@pytest.mark.parametrize("word", ["", "defaults", "async", "loud"])
def test_words_that_ask_for_the_default_are_dropped(word):
    assert parse([word]).data == []


def test_idmap_and_copy_up():
    options = parse(["ridmap", "tmpcopyup"])
    assert options.idmap
    assert options.idmap_below
    assert options.copy_up


def test_root_propagation():
    assert root_propagation("") == abi.MS_SLAVE | abi.MS_REC
    assert root_propagation("rshared") == abi.MS_SHARED | abi.MS_REC
    with pytest.raises(InvalidArgumentError, match="rootfsPropagation 'wide'"):
        root_propagation("wide")
