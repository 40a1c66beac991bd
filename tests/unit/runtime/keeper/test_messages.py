import json

import pytest

from boxship import errors
from boxship.errors import BoxshipError, InternalError, InvalidArgumentError
from boxship.runtime.errors import StartFailedError
from boxship.runtime.keeper import messages as m

KEY = m.Key("c", "e")
LOG = m.LogTarget("/log", 10, 2)
EXIT = m.Exit("c", None, 3, True, 5)
STREAMS = m.Streams(True, False, True)
DESCRIPTION = m.Description(KEY, 1, 2, "/b", "/cg", True, False, True, False, LOG)


@pytest.mark.parametrize(
    "message",
    [
        m.Create("c", "/b", [["bind", "/x", ["ro"]]], False, True, True, False, LOG),
        m.Create("c", "/b", [], False, True, True, False, None),
        m.Exec("c", "e", {"args": ["\udcff\u20ac"]}, False, True, 7, STREAMS),
        m.Exec("c", "e", {}, False, True, 7, None),
        m.Attach(KEY, 1, STREAMS),
        m.RestoreClient(m.Key("c", None), 1, STREAMS),
        m.Signal(KEY, 9),
        m.Withdrawn(KEY, ["stdin"]),
        m.Restore(DESCRIPTION, ["pidfd"]),
        m.Deposited(DESCRIPTION._replace(log=None), []),
        m.Exited(EXIT),
        m.Statuses(),
        m.Done({"a": 1}),
    ],
)
def test_a_message_arrives_as_it_was_sent(message):
    sequence, arrived = m.decode(m.encode(4, message))
    assert sequence == 4
    assert arrived == message
    assert type(arrived) is type(message)
    assert [type(field) for field in arrived] == [type(field) for field in message]


def test_a_state_comes_back_from_json():
    state = m.State("c", 1, True, False, EXIT, [m.ExecState("e", 2, None)])
    assert m.state_of(json.loads(json.dumps(state))) == state


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'[1,"Nope"]', b'[1,"Signal",[]]', b"\xff"])
def test_nonsense_is_refused(body):
    with pytest.raises(InvalidArgumentError, match="unknown message"):
        m.decode(body)


@pytest.mark.parametrize(
    "error",
    [
        kind("why", hint="what to do")
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, BoxshipError) and kind is not BoxshipError
    ],
)
def test_every_kind_of_error_travels(error):
    arrived = m.error_of(m.failure(error))
    assert type(arrived) in (type(error), InternalError)
    assert str(arrived) == str(error)


def test_a_failed_start_travels_with_its_reason():
    arrived = m.error_of(m.failure(StartFailedError("permission", "denied")))
    assert isinstance(arrived, StartFailedError)
    assert (arrived.reason, arrived.message, arrived.exit_code) == ("permission", "denied", 126)


def test_other_exceptions_become_internal_errors():
    arrived = m.error_of(m.failure(OSError(28, "No space left on device")))
    assert isinstance(arrived, InternalError)
    assert "No space left" in arrived.message
