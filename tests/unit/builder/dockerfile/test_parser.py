"""Instructions: typed, checked, with the texts that Docker's users know."""

import pytest

from boxship.builder.dockerfile import instructions as i
from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.lint import lint
from boxship.builder.dockerfile.parser import parse, parse_instructions
from boxship.errors import UnsupportedError
from boxship.model.image import HealthcheckDocument


def one(text: str) -> i.Instruction:
    (instruction,) = parse(f"FROM scratch\n{text}\n").stages[0].instructions
    return instruction


def test_stages_and_globals():
    parsed = parse(
        "ARG V=1 W\nFROM --platform=$BUILDPLATFORM a:$V AS Build\nRUN x\n"
        "from b\nCOPY --from=build /a /b"
    )
    assert [pair.key for pair in parsed.globals[0].pairs] == ["V", "W"]
    build, final = parsed.stages
    assert (build.base, build.name, build.platform) == ("a:$V", "build", "$BUILDPLATFORM")
    assert (final.base, final.line) == ("b", 4)
    copy = final.instructions[0]
    assert isinstance(copy, i.Copy)
    assert copy.origin == "build"


@pytest.mark.parametrize(
    ("text", "arguments", "shell_form"),
    [
        ('RUN ["a", "b c"]', ("a", "b c"), False),
        ("RUN a  b", ("a  b",), True),
        ("RUN\ta\tb", ("a\tb",), True),
        ("RUN ['a']", ("['a']",), True),
        ("RUN [ -e /x ]", ("[ -e /x ]",), True),
    ],
)
def test_run_forms(text: str, arguments: tuple[str, ...], shell_form: bool):
    run = one(text)
    assert isinstance(run, i.Run)
    assert run.command == i.Command(arguments, shell_form)


def test_run_mounts():
    run = one("RUN --mount=type=cache,dst=/c,id=x,ro --mount=src=a,target=/b --network=none make")
    assert isinstance(run, i.Run)
    assert run.mounts == (
        i.RunMount("cache", {"target": "/c", "id": "x", "readonly": "true"}),
        i.RunMount("bind", {"source": "a", "target": "/b"}),
    )
    assert (run.network, run.command.arguments) == ("none", ("make",))


def test_ssh_mounts_are_refused_by_name():
    with pytest.raises(UnsupportedError, match="type=ssh"):
        one("RUN --mount=type=ssh git clone")


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV a=1 b='2 3' c=\\ d", [("a", "1"), ("b", "'2 3'"), ("c", "\\ d")]),
        ("ENV a  b c=d", [("a", "b c=d")]),
        ('LABEL "a b"=c', [('"a b"', "c")]),
        ("ARG a b=", [("a", None), ("b", "")]),
    ],
)
def test_pairs(text: str, pairs: list[tuple[str, str | None]]):
    instruction = one(text)
    assert isinstance(instruction, i.Env | i.Label | i.Arg)
    assert [(pair.key, pair.value) for pair in instruction.pairs] == pairs


def test_copy_flags():
    copy = one("COPY --chown=a:b --chmod=0755 --link --exclude=*.md --exclude=x s1 s2 /d/")
    assert isinstance(copy, i.Copy)
    assert (copy.owner, copy.mode, copy.link, copy.excludes) == ("a:b", "0755", True, ("*.md", "x"))
    assert (copy.sources, copy.destination) == (("s1", "s2"), "/d/")


def test_copy_json_with_blanks_in_names():
    copy = one('COPY ["a b", "/c d/"]')
    assert isinstance(copy, i.Copy)
    assert (copy.sources, copy.destination) == (("a b",), "/c d/")


def test_copy_heredoc_is_not_a_path():
    copy = one("COPY x <<EOF /d/\nhi\nEOF")
    assert isinstance(copy, i.Copy)
    assert (copy.sources, [h.content for h in copy.heredocs]) == (("x",), ["hi\n"])


def test_add_flags():
    add = one("ADD --checksum=sha256:ab --unpack=false http://x/y /z")
    assert isinstance(add, i.Add)
    assert (add.checksum, add.unpack) == ("sha256:ab", False)


def test_healthcheck():
    health = one("HEALTHCHECK --interval=1m30s --timeout=5s --retries=3 CMD curl x")
    assert isinstance(health, i.Healthcheck)
    assert health.health == HealthcheckDocument(
        test=("CMD-SHELL", "curl x"), interval=90 * 10**9, timeout=5 * 10**9, retries=3
    )
    none = one("HEALTHCHECK NONE")
    assert isinstance(none, i.Healthcheck)
    assert none.health.test == ("NONE",)


def test_onbuild_keeps_the_expression():
    trigger = one("ONBUILD  RUN  make")
    assert isinstance(trigger, i.OnBuild)
    assert trigger.expression == "RUN  make"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "dockerfile parse error: file with no instructions"),
        ("# only\n", "dockerfile parse error: file with no instructions"),
        ("FROM a\n\nFO b", "dockerfile parse error on line 3: unknown instruction: FO"),
        ("FRMO a", "on line 1: unknown instruction: FRMO (did you mean FROM?)"),
        ("FROM a\nFOO b", "on line 2: unknown instruction: FOO"),
        ("RUN a\nFROM b", "on line 1: no build stage in current context"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1x", 'invalid name for build stage: "1x"'),
        ("FROM a AS b\nFROM c AS B", 'duplicate name "b" for build stages'),
        ("FROM a\nCOPY x", "COPY requires at least two arguments, but only one was provided"),
        ("FROM a\nCOPY x y z", "When using COPY with more than one source file"),
        ("FROM a\nCOPY --form=x y z", "unknown flag: --form (did you mean from?)"),
        ("FROM a\nCOPY --from=x --from=y y z", "duplicate flag specified: --from"),
        ("FROM a\nCOPY --link=maybe y z", "expecting boolean value for flag --link"),
        ("FROM a\nENV x", "ENV must have two arguments"),
        (
            "FROM a\nENV a=b c",
            'Syntax error - can\'t find = in "c". Must be of the form: name=value',
        ),
        ("FROM a\nENV =b", "ENV names can not be blank"),
        ("FROM a\nRUN", "RUN requires at least one argument"),
        ("FROM a\nUSER", "USER requires exactly one argument"),
        ("FROM a\nSHELL sh", "SHELL requires the arguments to be in JSON form"),
        ('FROM a\nCMD ["a", 1]', "arrays must be comprised of strings only"),
        ("FROM a\nONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("FROM a\nONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM a\nHEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("FROM a\nHEALTHCHECK RUN x", 'Unknown type "RUN" in HEALTHCHECK (try CMD)'),
        ("FROM a\nHEALTHCHECK --interval=x CMD y", 'invalid duration "x"'),
        ("FROM a\nRUN --mount=type=blob,target=/x y", 'unsupported mount type "blob"'),
        ("FROM a\nRUN --mount=type=tmpfs y", "target is missing"),
        ("FROM a\nRUN --network=moon y", 'unsupported network mode "moon"'),
        ("FROM a\nRUN --security=insecure y", "security=insecure is not allowed"),
        ("FROM a\nVOLUME []", "VOLUME requires at least one argument"),
    ],
)
def test_errors(text: str, message: str):
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_triggers_parse_alone():
    run, copy = parse_instructions("RUN <<E\nx\nE\nCOPY . /src")
    assert isinstance(run, i.Run)
    assert isinstance(copy, i.Copy)
    with pytest.raises(DockerfileError):
        parse_instructions("FROM x")


def test_lint_names_the_rule_and_the_line():
    text = "FROM a\nWORKDIR app\nENV API_TOKEN=1\nCMD a\nCMD b\nMAINTAINER me\n"
    rules = [warning.split(":")[0] for warning in lint(parse(text))]
    assert sorted(rules) == [
        "JSONArgsRecommended",
        "JSONArgsRecommended",
        "MaintainerDeprecated",
        "MultipleInstructionsDisallowed",
        "SecretsUsedInArgOrEnv",
        "WorkdirRelativePath",
    ]
    assert not lint(parse('FROM a\nWORKDIR /app\nWORKDIR sub\nCMD ["x"]\n'))
