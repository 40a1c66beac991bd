import os

from boxship.runtime.keeper.loop import HANGUP, READ, Loop


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_ready_descriptor_is_called_until_it_is_forgotten():
    loop = Loop()
    reader, writer = os.pipe()
    seen = []
    loop.watch(reader, READ, seen.append)
    os.write(writer, b"x")
    loop.turn()
    loop.turn()
    assert seen == [READ, READ]
    loop.forget(reader)
    loop.forget(reader)
    assert not loop.watches(reader)
    loop.later(0, lambda: seen.append(0))
    loop.turn()
    assert seen == [READ, READ, 0]
    os.close(writer)
    os.close(reader)
    loop.close()


def test_a_watch_for_nothing_still_hears_the_hang_up():
    loop = Loop()
    reader, writer = os.pipe()
    seen = []
    loop.watch(reader, 0, seen.append)
    os.close(writer)
    loop.turn()
    assert seen[0] & HANGUP
    loop.forget(reader)
    os.close(reader)
    loop.close()


def test_a_number_that_was_forgotten_and_used_again_in_one_round_is_not_called():
    loop = Loop()
    pairs = [os.pipe() for _ in range(2)]
    seen = []

    def swap(other: int) -> None:
        if other not in seen:
            loop.forget(other)
            loop.watch(other, READ, lambda _events: seen.append("stale"))
            seen.append(other)

    (first, first_writer), (second, second_writer) = pairs
    loop.watch(first, READ, lambda _events: swap(second))
    loop.watch(second, READ, lambda _events: swap(first))
    os.write(first_writer, b"x")
    os.write(second_writer, b"x")
    loop.turn()
    assert len(seen) == 1
    for fd in (first, first_writer, second, second_writer):
        loop.forget(fd)
        os.close(fd)
    loop.close()


def test_timers_fire_in_order_and_not_when_cancelled():
    clock = Clock()
    loop = Loop(clock)
    seen = []
    loop.later(2, lambda: seen.append("late"))
    cancelled = loop.later(0, lambda: seen.append("never"))
    loop.later(1, lambda: seen.append("early"))
    cancelled.cancel()
    clock.now = 3.0
    loop.turn()
    assert seen == ["early", "late"]
    loop.close()


def test_a_callback_that_fails_does_not_end_the_loop(capsys):
    loop = Loop()
    loop.later(0, lambda: 1 // 0)
    loop.later(0, loop.stop)
    loop.run()
    loop.close()
    assert "ZeroDivisionError" in capsys.readouterr().err
