"""Conversion: configs, arguments, stages and operations, with base images handed in."""

import asyncio

import pytest

from boxship.builder.convert import Options, Plan, convert
from boxship.builder.dockerfile.parser import parse
from boxship.builder.graph.operations import (
    CONTEXT,
    Copy,
    Exec,
    ExecMount,
    InlineSource,
    MakeDirectory,
    RemoteSource,
    TreeSource,
)
from boxship.errors import BoxshipError, NotFoundError
from boxship.model.digest import digest_of
from boxship.model.image import (
    Descriptor,
    HealthcheckDocument,
    Image,
    ImageConfig,
    ImageRunConfig,
    Manifest,
    RootFs,
)
from boxship.model.platform import Platform, host_platform


def base(name: str, **fields) -> Image:
    config = ImageConfig(
        architecture=host_platform().architecture,
        os="linux",
        rootfs=RootFs("layers", (digest_of(name.encode()),)),
        config=ImageRunConfig(**fields),
    )
    target = Descriptor("m", digest_of(name.encode()), 1)
    return Image(digest_of(f"id {name}".encode()), target, Manifest(2, target, ()), config)


class Shelf:
    """A resolver with a few images; remembers what was asked for."""

    def __init__(self, **images: Image) -> None:
        self.images = {"base": base("base", env=("PATH=/bin",), cmd=("sh",)), **images}
        self.asked: list[tuple[str, Platform]] = []

    async def __call__(self, name: str, platform: Platform) -> Image:
        self.asked.append((name, platform))
        if name not in self.images:
            raise NotFoundError(f"No such image: {name}:latest")
        return self.images[name]


def plan(text: str, shelf: Shelf | None = None, **options) -> Plan:
    return asyncio.run(convert(parse(text), Options(**options), shelf or Shelf()))


def config(text: str, **options) -> ImageRunConfig:
    return plan(text, **options).stages[-1].steps[-1].config


def operation(text: str, **options):
    made = plan(text, **options)
    return made.graph[made.stages[-1].steps[-1].vertex].operation


def test_env_replaces_in_place_and_sees_what_was_before_its_line():
    text = "FROM base\nENV a=hello\nENV a=bye d=$a\nENV g=$a PATH=/x:$PATH"
    assert config(text).env == ("PATH=/x:/bin", "a=bye", "d=hello", "g=bye")


def test_metadata():
    made = config(
        "FROM base\nEXPOSE 80 53/udp 8000-8001\nEXPOSE 80/tcp\nVOLUME /a /b\nUSER u:g\n"
        "LABEL a=1 b='2 3'\nLABEL a=4\nSTOPSIGNAL SIGINT\nWORKDIR /w\nWORKDIR x/../y\n"
        "HEALTHCHECK --retries=2 CMD true\nONBUILD RUN x"
    )
    assert list(made.exposed_ports) == ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]
    assert list(made.volumes) == ["/a", "/b"]
    assert (made.user, made.working_dir, made.stop_signal) == ("u:g", "/w/y", "SIGINT")
    assert made.labels == {"a": "4", "b": "2 3"}
    assert made.healthcheck == HealthcheckDocument(test=("CMD-SHELL", "true"), retries=2)
    assert made.on_build == ("RUN x",)


def test_entrypoint_drops_the_cmd_of_the_base_and_keeps_its_own():
    assert config('FROM base\nENTRYPOINT ["e"]').cmd is None
    assert config('FROM base\nCMD ["c"]\nENTRYPOINT ["e"]').cmd == ("c",)
    assert config("FROM base AS a\nCMD c\nFROM a\nENTRYPOINT e").cmd is None


def test_shell_forms():
    made = config('FROM base\nSHELL ["/bin/bash", "-c"]\nCMD go\nENTRYPOINT ["a", "b"]')
    assert made.cmd == ("/bin/bash", "-c", "go")
    assert made.entrypoint == ("a", "b")


@pytest.mark.parametrize(
    ("text", "args", "want"),
    [
        ("ARG v=1\nFROM base\nARG v\nLABEL x=$v", {}, "1"),
        ("ARG v=1\nFROM base\nLABEL x=$v", {}, ""),
        ("ARG v=1\nFROM base\nARG v=2\nLABEL x=$v", {}, "2"),
        ("ARG v=1\nFROM base\nARG v=2\nLABEL x=$v", {"v": "3"}, "3"),
        ("ARG v=1\nFROM base\nARG v\nLABEL x=$v", {"v": "3"}, "3"),
        ("FROM base\nLABEL x=$v\nARG v", {"v": "3"}, ""),
        ("FROM base\nARG v=1\nENV v=2\nLABEL x=$v", {"v": "3"}, "2"),
        ("FROM base AS a\nARG v=1\nFROM base\nLABEL x=$v", {}, ""),
        ("FROM base AS a\nARG v=1\nFROM a\nLABEL x=$v", {}, "1"),
        ("ARG a=1\nARG b=${a}2\nFROM base\nARG b\nLABEL x=$b", {}, "12"),
        ("FROM base\nARG a=1 b=$a$a\nLABEL x=$b", {}, "11"),
        ("FROM base\nARG TARGETPLATFORM\nLABEL x=$TARGETPLATFORM", {}, str(host_platform())),
        ("FROM base\nLABEL x=$TARGETPLATFORM", {}, ""),
        ("FROM base\nLABEL x=$http_proxy", {"http_proxy": "p"}, "p"),
        ("FROM base\nARG v\nLABEL x=$v", {"v": None}, ""),
    ],
)
def test_argument_scopes(text: str, args: dict[str, str | None], want: str):
    assert config(text, args=args).labels == {"x": want}


def test_unconsumed_arguments_are_named():
    made = plan("FROM base\nARG a", args={"a": "1", "b": "2", "https_proxy": "p"})
    assert made.warnings == ("One or more build-args [b] were not consumed",)


def test_from_expands_globals_and_platforms():
    shelf = Shelf()
    plan(
        "ARG n=base\nFROM --platform=$BUILDPLATFORM ${n}\nLABEL a=b", shelf, platform="linux/arm64"
    )
    assert shelf.asked == [("base", host_platform())]
    plan("FROM base\nLABEL a=b", shelf := Shelf(), platform="linux/arm64")
    assert shelf.asked == [("base", Platform("linux", "arm64"))]


def test_only_needed_stages_are_converted():
    shelf = Shelf()
    made = plan(
        "FROM base AS a\nFROM missing AS b\nRUN x\nFROM base AS c\nCOPY --from=0 / /\n"
        "RUN --mount=from=a,target=/m x",
        shelf,
    )
    assert [stage.index for stage in made.stages] == [0, 2]
    assert [name for name, _ in shelf.asked] == ["base", "base"]


def test_run_environment_and_history():
    made = plan('FROM base\nENV a=1\nARG b=2\nARG a=3\nARG HTTP_PROXY=p\nRUN x\nRUN ["y", "z"]')
    steps = made.stages[-1].steps[-2:]
    shell, direct = (made.graph[step.vertex].operation for step in steps)
    assert isinstance(shell, Exec)
    assert isinstance(direct, Exec)
    assert shell.argv == ("/bin/sh", "-c", "x")
    assert shell.env == ("PATH=/bin", "a=1", "b=2")
    assert direct.argv == ("y", "z")
    assert [step.created_by for step in steps] == ["RUN |1 b=2 /bin/sh -c x", "RUN |1 b=2 y z"]


def test_run_gets_a_path_when_the_image_has_none():
    made = plan("FROM bare\nRUN x", Shelf(bare=base("bare")))
    run = made.graph[made.stages[-1].steps[-1].vertex].operation
    assert run.env[0].startswith("PATH=/usr/local/sbin:")
    assert made.stages[-1].steps[-1].config.env == ()


def test_run_mounts():
    run = operation(
        "FROM base AS s\nFROM base\nWORKDIR /w\nARG t=dir\n"
        "RUN --mount=type=cache,target=$t,sharing=locked --mount=from=s,source=../../x,target=/b "
        "--mount=target=/c,rw --mount=type=tmpfs,target=/t,size=2m "
        "--mount=type=secret,id=k,mode=0440,required x"
    )
    assert run.mounts == (
        ExecMount("cache", "/w/dir", ".", cache="/w/dir", sharing="locked", mode=0o755),
        ExecMount("bind", "/b", "x", 1, read_only=True, mode=0o755),
        ExecMount("bind", "/c", ".", CONTEXT, mode=0o755),
        ExecMount("tmpfs", "/t", ".", size=2 << 20, mode=0o755),
        ExecMount("secret", "/run/secrets/k", "k", mode=0o440, required=True),
    )


def test_run_heredocs():
    assert operation("FROM base\nRUN <<E\na\nE").argv == ("/bin/sh", "-c", "a\n")
    assert operation("FROM base\nRUN cat <<-E\n\ta\n\tE").argv[-1] == "cat <<-E\n\ta\n\tE\n"
    script = operation("FROM base\nRUN <<E\n#!/usr/bin/env python3\nprint()\nE")
    assert script.argv == ("/dev/pipes/run-heredoc",)
    assert script.script == "#!/usr/bin/env python3\nprint()\n"


def test_copy():
    made = operation(
        "FROM base\nARG d=dir o=bob\nWORKDIR /w\nCOPY --chown=$o --chmod=0644 ../a /b/$d x/"
    )
    assert made == Copy(
        sources=(TreeSource(CONTEXT, "a"), TreeSource(CONTEXT, "b/dir")),
        destination="/w/x/",
        owner="bob",
        mode=0o644,
    )
    assert operation("FROM base\nCOPY a .").destination == "/"
    assert operation("FROM base\nWORKDIR /w\nCOPY a .").destination == "/w/"
    assert operation("FROM base\nCOPY . ../../x").sources == (TreeSource(CONTEXT, "."),)
    assert operation("FROM base\nCOPY a /x/../y").destination == "/y"


def test_copy_of_heredocs_expands_unless_quoted():
    made = operation("FROM base\nARG v=1\nCOPY <<a <<'b' /d/\n$v\na\n$v\nb")
    assert made.sources == (InlineSource("a", "1\n"), InlineSource("b", "$v\n"))


def test_add():
    made = operation("FROM base\nADD http://h/a%20b x.tar /d/")
    assert made.sources == (RemoteSource("http://h/a%20b", "a b"), TreeSource(CONTEXT, "x.tar"))
    assert (made.unpack, made.unpack_remote, made.keyword) == (True, False, "ADD")
    assert operation("FROM base\nADD --unpack=false x /d").unpack is False


def test_workdir_is_an_operation():
    assert operation("FROM base\nWORKDIR a/b/") == MakeDirectory("/a/b")


def test_triggers_come_first_and_do_not_stay():
    shelf = Shelf(parent=base("parent", on_build=("ENV a=1", "RUN x")))
    stage = plan("FROM parent\nENV b=$a", shelf).stages[-1]
    assert [(step.trigger, step.text) for step in stage.steps] == [
        (True, "ENV a=1"),
        (True, "RUN x"),
        (False, "ENV b=$a"),
    ]
    assert stage.steps[-1].config.env == ("a=1", "b=1")
    assert stage.steps[-1].config.on_build == ()


def test_a_trigger_that_is_no_instruction_is_an_error():
    shelf = Shelf(parent=base("parent", on_build=("FROM x",)))
    with pytest.raises(BoxshipError, match="ONBUILD trigger"):
        plan("FROM parent\nENV a=b", shelf)


def test_labels_of_the_request_are_taken_literally():
    assert config("FROM base\nENV a=b", labels={"x y": "it's $a \\ \""}).labels == {
        "x y": "it's $a \\ \""
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM ${v}", r"line 1: base name \(\$\{v\}\) should not be blank"),
        ('FROM base\n\nENV a="${b:?need b}"', "line 3: b: need b"),
        ("FROM base\nEXPOSE x", "line 2: invalid containerPort: x"),
        ("FROM base\nEXPOSE 0", "invalid containerPort"),
        ("FROM base\nEXPOSE 80/xyz", "invalid containerPort"),
        ("FROM base\nSTOPSIGNAL SIGNOPE", "invalid signal: SIGNOPE"),
        ("FROM base\nCOPY --from=0 a b", "invalid from flag value 0: invalid stage index"),
        ("FROM base AS me\nCOPY --from=me a b", "stage me cannot copy from itself"),
        ("FROM base\nCOPY --from=missing a b", "No such image: missing:latest"),
        ("FROM base\nCOPY --chmod=9 a b", "invalid chmod parameter: '9'"),
        ("FROM base\nADD --checksum=md5:x http://h/f /", "invalid checksum"),
        ("FROM base\nADD --checksum=sha256:x f /", "checksum can't be specified"),
        ("FROM base\nADD http://h/ /d/", "cannot determine filename from url: http://h/"),
        ("FROM base\nADD git@github.com:a/b.git /", "git repository"),
        ("FROM base\nRUN --mount=type=cache,target=/ x", "cannot be mounted over"),
        ("FROM base\nRUN --mount=type=cache,target=/x,sharing=odd x", "unsupported sharing value"),
        ("FROM base\nRUN --mount=type=tmpfs,target=/x,size=big x", "invalid size"),
        ("FROM --platform=a//b base", "invalid platform"),
    ],
)
def test_errors(text: str, message: str):
    with pytest.raises(BoxshipError, match=message):
        plan(text)
