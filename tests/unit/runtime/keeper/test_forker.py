import os
import signal
import socket

import pytest

from boxship.errors import BoxshipError, ConflictError, UnavailableError
from boxship.runtime import channel
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.forker import Forker, LauncherProcess
from boxship.runtime.keeper.loop import Loop
from boxship.runtime.keeper.messages import Cloned, Spawn

SPAWN = Spawn("c", "/b", [], False)


class Host:
    """Starts `sleep` for a launcher, and keeps the launcher's end of each socket."""

    def __init__(self):
        self.ends = []
        self.pids = []
        self.refuse = False

    def launch(self):
        if self.refuse:
            raise OSError(12, "Cannot allocate memory")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
        self.ends.append(theirs)
        self.pids.append(pid)
        return LauncherProcess(pid, os.pidfd_open(pid), ours)

    @staticmethod
    def pidfd_send_signal(pidfd, number):
        signal.pidfd_send_signal(pidfd, number)

    def answer(self, message, fds=()):
        channel.send(self.ends[-1], messages.encode(0, message), fds)


class Bench:
    def __init__(self):
        self.loop = Loop()
        self.host = Host()
        self.settled = 0
        self.answers = []
        self.forker = Forker(self.loop, self.host, self.host.launch, self._settle)

    def _settle(self):
        self.settled += 1

    def ask(self):
        reader, writer = os.pipe()
        os.close(reader)
        self.forker.request(
            SPAWN, (writer,), lambda result, fds: self.answers.append((result, fds))
        )
        return writer

    def until(self, count):
        while len(self.answers) < count:
            self.loop.turn()
        return self.answers[-1]


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.forker.stop()
    for end in made.host.ends:
        end.close()
    made.loop.close()


def test_a_request_goes_out_with_its_descriptors_and_comes_back(bench):
    writer = bench.ask()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
    body, fds = channel.receive(bench.host.ends[0])
    assert messages.decode(body) == (0, SPAWN)
    assert len(fds) == 1
    bench.host.answer(Cloned(5, "/cg", []), (fds[0], fds[0]))
    result, got = bench.until(1)
    assert (result.pid, len(got)) == (5, 2)
    channel.close_all([*fds, *got])
    assert (bench.forker.idle, bench.settled) == (True, 1)


def test_an_error_comes_back_as_it_was(bench):
    bench.ask()
    bench.host.answer(messages.failure(ConflictError("in use", hint="wait")))
    result, fds = bench.until(1)
    assert isinstance(result, ConflictError)
    assert (str(result), fds) == ("in use (wait)", [])


def test_a_launcher_that_dies_fails_what_it_had_and_is_replaced(bench):
    bench.ask()
    first = bench.forker.pid
    os.kill(first, signal.SIGKILL)
    result, _ = bench.until(1)
    assert isinstance(result, UnavailableError)
    assert bench.forker.pid not in (0, first)
    bench.ask()
    bench.host.answer(messages.failure(ConflictError("served")))
    result, _ = bench.until(2)
    assert isinstance(result, ConflictError)


def test_an_answer_sent_before_death_counts(bench):
    bench.ask()
    bench.host.answer(messages.failure(ConflictError("in time")))
    os.kill(bench.forker.pid, signal.SIGKILL)
    os.waitid(os.P_PID, bench.forker.pid, os.WEXITED | os.WNOWAIT)
    result, _ = bench.until(1)
    assert isinstance(result, ConflictError)


def test_a_launcher_that_cannot_be_started_fails_the_request(bench):
    bench.host.refuse = True
    bench.ask()
    result, _ = bench.until(1)
    assert isinstance(result, BoxshipError)
    assert "Cannot allocate memory" in str(result)


def test_more_requests_than_the_socket_holds_wait_their_turn(bench):
    for _ in range(500):
        bench.ask()
    end = bench.host.ends[0]
    for number in range(500):
        received = None
        end.settimeout(0.01)
        while received is None:
            try:
                received = channel.receive(end)
            except TimeoutError:
                bench.loop.turn()
        channel.close_all(received[1])
        channel.send(end, messages.encode(0, messages.failure(ConflictError(str(number)))))
        bench.until(number + 1)
    assert [str(result) for result, _ in bench.answers] == [str(n) for n in range(500)]
