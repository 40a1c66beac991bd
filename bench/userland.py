"""Images of a Debian userland that no engine has seen: one layer, another digest each time."""

import hashlib
import json
import shutil
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from peers import PeerError, note, run

CACHE = Path(tempfile.gettempdir()) / "boxship-cache" / "debian-bookworm.tar"


def userland(path: Path) -> Path:
    """A tar of a Debian bookworm root, made from Debian's archive when it is not there.

    Raises:
        PeerError: mmdebstrap is missing or fails.
    """
    if not path.exists():
        if shutil.which("mmdebstrap") is None:
            raise PeerError("install mmdebstrap, or name a tar of a root with --userland")
        note(f"making {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new.tar")
        run("mmdebstrap", "--variant=minbase", "bookworm", str(fresh))
        fresh.rename(path)
    return path


def variant(root: Path, number: int, tag: str, target: Path) -> None:
    """An image archive (as `docker save` writes it) of a root with one file more.

    Args:
        root: tar of the root file system.
        number: what the file says, so that each number's layer is another one.
        tag: the image's name.
        target: file to write.
    """
    layer = target.with_suffix(".layer")
    shutil.copyfile(root, layer)
    mark = target.with_suffix(".mark")
    mark.write_text(f"variant {number}\n")
    renamed = f"s,.*,./boxship-bench-{number},"
    run("tar", "-rf", str(layer), "-C", str(mark.parent), f"--transform={renamed}", mark.name)
    mark.unlink()
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": {"Cmd": ["bash"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "bench"}],
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [tag], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        _add(archive, f"{name}.json", config)
        archive.add(layer, f"{digest}/layer.tar")
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    layer.unlink()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, BytesIO(data))
