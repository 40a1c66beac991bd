"""Pulls that are cancelled, meet each other, or die with their process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from boxship.image import Progress
from boxship.model.digest import digest_of
from boxship.model.image import MEDIA_OCI_CONFIG, MEDIA_OCI_LAYER, MEDIA_OCI_MANIFEST
from boxship.model.platform import host_platform

pytestmark = pytest.mark.root
_PULL = """
import asyncio, sys
from pathlib import Path
from boxship.image import ImageService
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.snapshots.store import SnapshotStore
root = Path(sys.argv[1])
images = ImageService(
    ContentStore(root / "content"), SnapshotStore(root / "snapshots"), Database(root / "boxship.db")
)
asyncio.run(images.pull(sys.argv[2]))
"""


class Slow:
    """A registry with one image whose layer stops half-way until it is let go."""

    def __init__(self, layer: bytes) -> None:
        self.layer = layer
        self.half = threading.Event()
        self.go = threading.Event()
        self.ranges: list[str | None] = []
        config = {
            "os": "linux",
            "architecture": host_platform().architecture,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
        }
        self.config = json.dumps(config).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MEDIA_OCI_MANIFEST,
                "config": self._described(self.config, MEDIA_OCI_CONFIG),
                "layers": [self._described(layer, MEDIA_OCI_LAYER)],
            }
        ).encode()

    @staticmethod
    def _described(data: bytes, media_type: str) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    def __call__(self, request: Any) -> Any:
        if "/manifests/" in request.path:
            return 200, {"Content-Type": MEDIA_OCI_MANIFEST}, self.manifest
        if request.path.endswith(digest_of(self.config)):
            return 200, {}, self.config
        wanted = request.headers["Range"]
        self.ranges.append(wanted)
        start = int(wanted[6:-1]) if wanted else 0
        if self.go.is_set():
            return 206 if wanted else 200, {}, self.layer[start:]
        request.send_response(200)
        request.send_header("Content-Length", str(len(self.layer)))
        request.end_headers()
        request.wfile.write(self.layer[: len(self.layer) // 2])
        request.wfile.flush()
        self.half.set()
        self.go.wait(20)
        request.wfile.write(self.layer[len(self.layer) // 2 :])
        return None


@pytest.fixture
def slow(tarball: Any) -> Any:
    made = Slow(tarball({"data": os.urandom(4 << 20), "etc/motd": b"hello\n"}))
    yield made
    made.go.set()


def test_cancelled_pull_ends_at_once_and_resumes(one: Any, scripted: Any, slow: Slow) -> None:
    name = f"{scripted(slow).host}/app:1"

    async def cancelled() -> None:
        arrived = asyncio.Event()

        def watch(record: Progress) -> None:
            if record.current:
                arrived.set()

        task = asyncio.ensure_future(one.images.pull(name, progress=watch))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)

    one.run(cancelled())
    assert one.images.list() == ()
    assert list((one.snapshots.root / "staging").iterdir()) == []
    slow.go.set()
    assert one.pull(name).tags == (name,)
    assert slow.ranges[0] is None
    assert str(slow.ranges[1]).startswith("bytes=")


def test_two_pulls_of_one_image_share_the_download(one: Any, scripted: Any, slow: Slow) -> None:
    name = f"{scripted(slow).host}/app"

    async def both() -> list[Any]:
        tasks = [asyncio.ensure_future(one.images.pull(f"{name}:{tag}")) for tag in "12"]
        await asyncio.to_thread(slow.half.wait)
        slow.go.set()
        return await asyncio.gather(*tasks)

    first, second = one.run(both())
    assert first.id == second.id
    assert one.images.resolve(f"{name}:1").tags == (f"{name}:1", f"{name}:2")
    assert slow.ranges == [None]


def test_killed_pull_leaves_nothing_but_a_partial_blob(
    host: Any, scripted: Any, slow: Slow, tmp_path: Path
) -> None:
    name = f"{scripted(slow).host}/app:1"
    root = tmp_path / "host0"
    with subprocess.Popen([sys.executable, "-c", _PULL, str(root), name]) as process:
        assert slow.half.wait(20)
        process.send_signal(signal.SIGKILL)
    one = host()
    one.run(one.images.collect())
    assert one.leftovers() == ([], [])
    assert list((one.snapshots.root / "staging").iterdir()) == []
    slow.go.set()
    assert one.pull(name).tags == (name,)
    assert slow.ranges[0] is None


def test_unpacking_is_not_undone_by_a_collection_meanwhile(
    one: Any, scripted: Any, slow: Slow
) -> None:
    name = f"{scripted(slow).host}/app:1"

    async def work() -> Any:
        task = asyncio.ensure_future(one.images.pull(name))
        await asyncio.to_thread(slow.half.wait)
        await one.images.collect()
        slow.go.set()
        return await task

    image = one.run(work())
    assert one.content.has(image.id)
    assert one.content.has(image.target.digest)


def test_damaged_partial_blob_is_thrown_away(one: Any, scripted: Any, slow: Slow) -> None:
    slow.go.set()
    digest = digest_of(slow.layer)
    with one.content.ingest(digest, digest, len(slow.layer)) as ingest:
        ingest.write(b"left by a disk that failed")
    assert one.pull(f"{scripted(slow).host}/app:1").tags
    assert slow.ranges == ["bytes=26-", None]
