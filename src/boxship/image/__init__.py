"""Images in the local store: pull, push, load, save, import, unpack, remove."""

from boxship.image.describe import HistoryEntry, ImageUsage, Usage
from boxship.image.made import Import
from boxship.image.progress import Progress
from boxship.image.prune import PruneRequest, created_at
from boxship.image.remove import ImageUser, InUse, Removed
from boxship.image.service import ImageService

__all__ = [
    "HistoryEntry",
    "ImageService",
    "ImageUsage",
    "ImageUser",
    "Import",
    "InUse",
    "Progress",
    "PruneRequest",
    "Removed",
    "Usage",
    "created_at",
]
