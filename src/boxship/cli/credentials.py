"""Registry credentials: Docker's `config.json`, in the clear or in a credential helper."""

import base64
import json
import os
import subprocess
from pathlib import Path

from boxship.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Entry = dict[str, Any]

DEFAULT_REGISTRY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - the name helpers give to identity tokens


def config_path() -> Path:
    """`config.json` of boxship, or of Docker where that is what there is."""
    for variable in ("BOXSHIP_CONFIG", "DOCKER_CONFIG"):
        if os.environ.get(variable):
            return Path(os.environ[variable]) / "config.json"
    return Path.home() / ".docker" / "config.json"


def registry_of(name: str) -> str:
    """The key of a repository's registry in `config.json`."""
    head, slash, _ = name.partition("/")
    is_host = slash and ("." in head or ":" in head or head == "localhost")
    if not is_host or head in ("docker.io", "index.docker.io"):
        return DEFAULT_REGISTRY
    return head


def auth_header(name: str) -> "dict[str, str]":
    """`X-Registry-Auth` for a repository; no header where nothing is known."""
    entry = find(registry_of(name))
    return {"X-Registry-Auth": encode(entry)} if entry else {}


def config_header() -> "dict[str, str]":
    """`X-Registry-Config` with everything known, for builds."""
    auths = load().get("auths") or {}
    entries = {host: entry for host in auths if (entry := find(host))}
    return {"X-Registry-Config": encode(entries)} if entries else {}


def encode(entry: "Entry") -> str:
    return base64.urlsafe_b64encode(json.dumps(entry).encode()).decode()


def load() -> "Entry":
    """The whole file.

    Raises:
        InvalidArgumentError: it is no JSON.
    """
    path = config_path()
    try:
        document: Entry = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"cannot read {path}: {error}") from error
    return document


def find(registry: str) -> "Entry | None":
    """Credentials for a registry, as the API takes them."""
    document = load()
    helper = (document.get("credHelpers") or {}).get(registry) or document.get("credsStore")
    if helper:
        return _from_helper(str(helper), registry)
    auths = document.get("auths") or {}
    stored = auths.get(registry) or auths.get(f"https://{registry}")
    if not stored:
        return None
    decoded = base64.b64decode(stored.get("auth") or "").decode("utf-8", "replace")
    username, _, password = decoded.partition(":")
    entry = {
        "username": stored.get("username") or username,
        "password": stored.get("password") or password,
        "serveraddress": registry,
        "identitytoken": stored.get("identitytoken", ""),
    }
    return entry if entry["username"] or entry["identitytoken"] else None


def store(registry: str, entry: "Entry") -> None:
    """Keep credentials after a login; the file is only its owner's to read."""
    document = load()
    secret = base64.b64encode(f"{entry['username']}:{entry['password']}".encode()).decode()
    kept = {"auth": secret}
    if entry.get("identitytoken"):
        kept = {"auth": base64.b64encode(f"{entry['username']}:".encode()).decode()}
        kept["identitytoken"] = entry["identitytoken"]
    document.setdefault("auths", {})[registry] = kept
    _save(document)


def erase(registry: str) -> bool:
    """Forget credentials; whether there were any."""
    document = load()
    found = (document.get("auths") or {}).pop(registry, None) is not None
    if found:
        _save(document)
    return found


def _save(document: "Entry") -> None:
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = path.with_suffix(".tmp")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent="\t")
    scratch.replace(path)


def _from_helper(helper: str, registry: str) -> "Entry | None":
    """Ask `docker-credential-HELPER get`, as Docker does."""
    try:
        answer = subprocess.run(  # noqa: TID251 - the command line may not import the kernel
            [f"docker-credential-{helper}", "get"],
            input=registry.encode(),
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
        found = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if found.get("Username") == _TOKEN_USER:
        return {"identitytoken": found["Secret"], "serveraddress": registry}
    return {
        "username": found.get("Username", ""),
        "password": found.get("Secret", ""),
        "serveraddress": registry,
    }
