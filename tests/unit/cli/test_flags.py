"""Command lines as Docker's users type them."""

import pytest

from boxship.cli.command import Command
from boxship.cli.flags import Flag, UsageError, parse
from boxship.cli.table import COMMANDS, find, load, overview

FLAGS = (
    Flag("detach", "bool", short="d"),
    Flag("interactive", "bool", short="i"),
    Flag("tty", "bool", short="t"),
    Flag("rm", "bool"),
    Flag("name", "text"),
    Flag("env", "list", short="e"),
    Flag("tail", "int", short="n"),
)


def test_flags_in_all_their_forms():
    parsed = parse(
        FLAGS, ["-it", "--rm", "--name=a", "-e", "X=1", "-eY=2", "--env", "Z", "-n5", "image"]
    )
    assert parsed.flag("interactive")
    assert parsed.flag("tty")
    assert parsed.flag("rm")
    assert not parsed.flag("detach")
    assert parsed.text("name") == "a"
    assert parsed.list("env") == ["X=1", "Y=2", "Z"]
    assert parsed.integer("tail") == 5
    assert parsed.args == ["image"]


def test_a_flag_may_be_said_false():
    assert not parse(FLAGS, ["--rm=false"]).flag("rm")
    assert parse(FLAGS, ["--rm=1"]).flag("rm")


def test_what_follows_the_image_belongs_to_the_container():
    parsed = parse(FLAGS, ["--rm", "image", "ls", "-d", "--rm"], interspersed=False)
    assert parsed.args == ["image", "ls", "-d", "--rm"]
    assert parse(FLAGS, ["a", "-d", "b"]).args == ["a", "b"]
    assert parse(FLAGS, ["--", "-d"]).args == ["-d"]
    assert parse(FLAGS, ["-"]).args == ["-"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["-z"], "unknown shorthand flag: 'z' in -z"),
        (["-iz"], "unknown shorthand flag: 'z' in -iz"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: 'e' in -e"),
        (["--tail=x"], 'invalid argument "x" for'),
        (["--rm=maybe"], 'invalid argument "maybe" for'),
    ],
)
def test_what_cannot_be_read_is_named_in_docker_s_words(words, message):
    with pytest.raises(UsageError, match=message):
        parse(FLAGS, words)


def command(least, most):
    made = Command("", "", lambda _app, _parsed: 0, args=(least, most))
    made.name = "x"
    return made


@pytest.mark.parametrize(
    ("limits", "words", "message"),
    [
        ((1, 1), [], '"boxship x" requires 1 argument'),
        ((2, None), ["a"], '"boxship x" requires at least 2 arguments'),
        ((0, 0), ["a"], '"boxship x" accepts no arguments'),
        ((0, 1), ["a", "b"], '"boxship x" requires at most 1 argument'),
    ],
)
def test_the_number_of_arguments_is_checked(limits, words, message):
    made = command(*limits)
    with pytest.raises(UsageError, match=message):
        made.check(parse(made.flags, words))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_loads_and_explains_itself(name):
    made = load(name)
    assert made.summary
    assert made.help().startswith(f"\nUsage:  boxship {name}")
    shorts = [flag.short for flag in made.flags if flag.short]
    assert len(shorts) == len(set(shorts))


def test_both_of_docker_s_names_find_a_command():
    assert find(["ps", "-a"])[1] == ["-a"]
    for words in (["container", "ls", "-a"], ["container", "ps", "-a"]):
        made, rest = find(words)
        assert made is not None
        assert made.action is load("ps").action
        assert rest == ["-a"]


def test_unknown_commands_are_named():
    with pytest.raises(UsageError, match="'foo' is not a boxship command"):
        find(["foo"])
    with pytest.raises(UsageError, match="'network foo' is not a boxship command"):
        find(["network", "foo"])
    assert find(["network"])[0] is None
    assert "network create" in overview(["network"]) or "create" in overview(["network"])
