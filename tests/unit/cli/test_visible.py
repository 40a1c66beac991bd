import pytest

from boxship.cli.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with ümlauts\n\tand lines", "plain, with ümlauts\n\tand lines"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("real\rfake", "real\\rfake"),
        ("\x9b31mred", "\\x9b31mred"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udc80", "\\udc80"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text, shown):
    assert visible(text) == shown
