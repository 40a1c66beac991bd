"""Whole builds: layers, config, history, cache, output and failures."""

import asyncio

import msgspec
import pytest

from boxship.builder.request import BuildRequest, CommandFailedError
from boxship.errors import BoxshipError, InvalidArgumentError, NotFoundError

pytestmark = [pytest.mark.root, pytest.mark.overlayfs]

TWO_STAGES = """\
FROM busybox AS build
WORKDIR /src
COPY . .
RUN cat a b/c > out
FROM busybox
COPY --from=build /src/out /out
RUN cat /out
CMD ["cat", "/out"]
"""


def test_two_stages(workshop):
    workshop.write("a", "A")
    workshop.write("b/c", "C")
    image = workshop.build(TWO_STAGES, tags=("app:1", "app:2"))
    assert image.tags == ("app:1", "app:2")
    assert workshop.layers(image)[1:] == [["out"]]
    assert image.config.config.cmd == ("cat", "/out")
    assert [entry.created_by for entry in image.config.history[1:]] == [
        "COPY --from=build /src/out /out",
        "RUN /bin/sh -c cat /out",
        'CMD ["cat", "/out"]',
    ]
    assert [entry.empty_layer for entry in image.config.history[1:]] == [False, True, True]
    assert image.size > 0


def test_output_in_the_classic_words(workshop):
    workshop.write("a", "A")
    workshop.write("b/c", "C")
    image = workshop.build(TWO_STAGES, tags=("app",))
    lines = workshop.told.splitlines()
    assert lines[0] == "Step 1/8 : FROM busybox AS build"
    assert "Step 4/8 : RUN cat a b/c > out" in lines
    assert any(line.startswith(" ---> Running in ") for line in lines)
    assert "AC" in lines[lines.index("Step 7/8 : RUN cat /out") + 2]
    assert lines[-2:] == [
        f"Successfully built {image.id[7:19]}",
        "Successfully tagged app:latest",
    ]
    assert lines[-3] == f" ---> {image.id[7:19]}"
    assert [event.image_id for event in workshop.events if event.image_id] == [image.id]


def test_streams_are_told_apart(workshop):
    workshop.build("FROM busybox\nRUN echo out; echo err >&2")
    said = {event.stream: event.text for event in workshop.events if event.stream != "progress"}
    assert said == {"stdout": "out\n", "stderr": "err\n"}


def test_everything_is_cached_the_second_time(workshop):
    workshop.write("a", "A")
    workshop.write("b/c", "C")
    first = workshop.build(TWO_STAGES)
    runs = len(workshop.executor.requests)
    second = workshop.build(TWO_STAGES)
    assert second.id == first.id
    assert workshop.cached == 6
    assert len(workshop.executor.requests) == runs


def test_a_touched_file_changes_nothing_and_a_changed_one_does(workshop):
    workshop.write("a", "A")
    workshop.write("b/c", "C")
    first = workshop.build(TWO_STAGES)
    (workshop.context / "a").touch()
    assert workshop.build(TWO_STAGES).id == first.id
    workshop.write("a", "AA")
    second = workshop.build(TWO_STAGES)
    assert second.id != first.id
    assert workshop.cached == 1


def test_a_mode_counts(workshop):
    workshop.write("a", "A")
    dockerfile = "FROM busybox\nCOPY a /a"
    workshop.build(dockerfile)
    (workshop.context / "a").chmod(0o755)
    workshop.build(dockerfile)
    assert workshop.cached == 0


def test_a_stage_rebuilt_to_the_same_files_spoils_nothing(workshop):
    workshop.write("a", "1")
    dockerfile = "FROM busybox AS b\nCOPY a /a\nRUN echo same > /out\n{}"
    tail = "FROM busybox\nCOPY --from=b /out /out\nRUN echo slow"
    first = workshop.build(dockerfile.format(tail))
    workshop.write("a", "2")
    second = workshop.build(dockerfile.format(tail))
    assert second.id == first.id
    assert workshop.cached == 2


def test_no_cache_runs_everything(workshop):
    dockerfile = "FROM busybox\nRUN echo 1"
    workshop.build(dockerfile)
    workshop.build(dockerfile, no_cache=True)
    assert len(workshop.executor.requests) == 2


def test_cached_layers_that_are_gone_are_made_again(workshop):
    first = workshop.build("FROM busybox\nRUN echo 1 > /f")
    workshop.content.delete(first.manifest.layers[-1].digest)
    again = workshop.build("FROM busybox\nRUN echo 1 > /f")
    assert workshop.cached == 0
    assert workshop.content.has(again.manifest.layers[-1].digest)


def test_unneeded_stages_are_left_out(workshop):
    dockerfile = (
        "FROM busybox AS a\nRUN echo a\nFROM nowhere/b AS b\nRUN echo b\nFROM a\nRUN echo c"
    )
    workshop.build(dockerfile)
    assert "echo b" not in workshop.told
    assert "Step 1/4 : FROM busybox AS a" in workshop.told


def test_target(workshop):
    dockerfile = "FROM busybox AS a\nLABEL s=a\nFROM busybox AS b\nLABEL s=b"
    assert workshop.build(dockerfile, target="A").config.config.labels == {"s": "a"}
    assert workshop.build(dockerfile, target="1").config.config.labels == {"s": "b"}
    with pytest.raises(InvalidArgumentError, match='target stage "c" could not be found'):
        workshop.build(dockerfile, target="c")


def test_from_alone_is_the_base_image(workshop):
    image = workshop.build("FROM busybox", tags=("mine:1",))
    assert image.id == workshop.images.resolve("busybox").id
    assert "mine:1" in image.tags


def test_from_scratch(workshop):
    workshop.write("hello", "hi", 0o755)
    image = workshop.build('FROM scratch\nCOPY hello /\nCMD ["/hello"]')
    assert workshop.layers(image) == [["hello"]]
    assert image.config.config.env == (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    nothing = workshop.build("FROM scratch\nLABEL a=b")
    assert nothing.manifest.layers == ()


def test_workdir_makes_a_layer_only_when_it_is_missing(workshop):
    image = workshop.build("FROM busybox\nWORKDIR /tmp\nWORKDIR /new/dir\nWORKDIR sub\nRUN pwd")
    assert workshop.layers(image)[1:] == [["new", "new/dir"], ["new", "new/dir", "new/dir/sub"]]
    assert image.config.config.working_dir == "/new/dir/sub"
    assert "/new/dir/sub\n" in workshop.told


def test_args_reach_run_and_env_hides_them(workshop):
    dockerfile = (
        "ARG base=busybox\nFROM $base\nARG v=1\nARG w\nENV e=x\nARG e=y\n"
        "RUN echo $v-$w-$e-$HTTP_PROXY"
    )
    workshop.build(dockerfile, args={"w": "2", "HTTP_PROXY": "http://p", "nope": "1"})
    assert "1-2-x-http://p\n" in workshop.told
    assert "[Warning] One or more build-args [nope] were not consumed" in workshop.told
    workshop.build(dockerfile, args={"w": "2", "HTTP_PROXY": "http://other"})
    assert workshop.cached == 5
    workshop.build(dockerfile, args={"w": "3"})
    assert "1-3-x-\n" in workshop.told


def test_onbuild_triggers_run_in_the_next_build(workshop):
    base = "FROM busybox\nONBUILD COPY f /f\nONBUILD RUN cat /f"
    image = workshop.build(base, tags=("trigger",))
    assert image.config.config.on_build == ("COPY f /f", "RUN cat /f")
    workshop.write("f", "triggered")
    child = workshop.build("FROM trigger\nLABEL a=b")
    assert "# Executing 2 build triggers" in workshop.told
    assert "triggered" in workshop.told
    assert child.config.config.on_build == ()
    assert "Step 2/2 : LABEL a=b" in workshop.told


def test_shell_and_user_and_heredocs(workshop):
    image = workshop.build(
        "FROM busybox\n"
        'SHELL ["/bin/sh", "-ec"]\n'
        "RUN <<EOF\necho one\necho two > /two\nEOF\n"
        "RUN cat <<A <<B\nunused\nA\nfrom b\nB\n"
        "RUN <<S\n#!/bin/cat\nshebang\nS\n"
    )
    assert "one\n" in workshop.told
    assert "from b\n" in workshop.told
    assert "#!/bin/cat\nshebang\n" in workshop.told
    assert workshop.layers(image)[1:] == [["two"]]


def test_run_leaves_no_mount_points(workshop):
    image = workshop.build('FROM scratch\nCOPY --from=busybox /bin /bin\nRUN ["/bin/true"]')
    assert all(not name.startswith(("etc", "proc", "dev")) for name in workshop.layers(image)[-1])
    assert len(workshop.layers(image)) == 1


def test_a_failing_command(workshop):
    with pytest.raises(CommandFailedError) as caught:
        workshop.build("FROM busybox\nRUN echo kept > /kept\nRUN exit 3", tags=("x",))
    message = "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
    assert (caught.value.message, caught.value.exit_code) == (message, 3)
    with pytest.raises(NotFoundError):
        workshop.images.resolve("x")
    workshop.build("FROM busybox\nRUN echo kept > /kept")
    assert workshop.cached == 1


def test_cancelling_kills_the_command(workshop):
    workshop.executor.requests.clear()

    async def cancel_at_first_output() -> None:
        started = asyncio.Event()
        request = BuildRequest(
            context=workshop.context,
            dockerfile_text="FROM busybox\nRUN echo started; sleep 1000",
        )

        def output(event) -> None:
            if event.text == "started\n":
                started.set()

        task = asyncio.ensure_future(workshop.service.build(request, output))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_at_first_output())
    assert workshop.leftovers() == []


def test_what_a_crash_left_is_removed(workshop):
    workshop.snapshots.prepare("build-0123-1", None)
    (workshop.root / "builder" / "tmp" / "0123").mkdir()
    workshop.open()
    assert workshop.leftovers() == []


def test_collection_keeps_what_the_cache_needs(workshop):
    text = "FROM busybox AS b\nRUN echo 1 > /f; echo 2 > /g\nFROM busybox\nCOPY --from=b /f /f"
    workshop.build(text)
    asyncio.run(workshop.images.collect())
    workshop.build(text)
    assert workshop.cached == 2
    assert workshop.service.cache_size() > 0
    assert asyncio.run(workshop.service.prune()) > 0
    assert workshop.service.cache_size() == 0


def test_a_dockerfile_of_the_context(workshop):
    workshop.write("sub/Dockerfile.x", "FROM busybox\nCOPY . /c\n")
    workshop.write("sub/Dockerfile.x.dockerignore", "secret\n")
    workshop.write("secret", "s")
    workshop.write("open", "o")
    image = workshop.build(None, dockerfile="sub/Dockerfile.x")
    assert "c/open" in workshop.layers(image)[-1]
    assert "c/secret" not in workshop.layers(image)[-1]
    with pytest.raises(InvalidArgumentError, match="Cannot locate specified Dockerfile: nope"):
        workshop.build(None, dockerfile="nope")


def test_labels_of_the_request(workshop):
    image = workshop.build("FROM busybox\nLABEL a=1", labels={"b": "it's $HOME"})
    assert image.config.config.labels == {"a": "1", "b": "it's $HOME"}


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("FROM busybox\nFOO x", "dockerfile parse error on line 2: unknown instruction: FOO"),
        (
            "FROM busybox\nCOPY nope /x",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat nope:",
        ),
        ("FROM busybox\nCOPY no* /x/", "COPY failed: no source files were specified"),
        (
            "FROM busybox AS b\nFROM busybox\nCOPY --from=b /nope /x",
            "COPY failed: stat nope: file does not exist",
        ),
        ("FROM busybox\nCOPY --from=7 /nope /x", "invalid from flag value 7: invalid stage index"),
        ("FROM $x", "base name ($x) should not be blank"),
        (
            "FROM busybox\nRUN --mount=type=secret,id=k,required=true true",
            "secret k: not found",
        ),
        ("FROM busybox\nADD https://example.com/x.git /x", "git repository"),
    ],
)
def test_errors(workshop, dockerfile: str, message: str):
    with pytest.raises(BoxshipError) as caught:
        workshop.build(dockerfile)
    assert message in caught.value.message


def test_the_image_is_the_same_when_all_is_cached_by_another_daemon(workshop):
    first = workshop.build("FROM busybox\nENV a=b\nRUN echo 1 > /f\nLABEL x=y")
    workshop.service = workshop.open()
    assert workshop.build("FROM busybox\nENV a=b\nRUN echo 1 > /f\nLABEL x=y").id == first.id
    assert msgspec.json.encode(first.config)
