"""Carries out one operation on real snapshots."""

from boxship.builder.worker.executor import ExecutionRequest, Executor, Limits
from boxship.builder.worker.helper import FileHelper
from boxship.builder.worker.run_mounts import CacheLocks
from boxship.builder.worker.setting import Job, Stores
from boxship.builder.worker.worker import SnapshotWorker

__all__ = [
    "CacheLocks",
    "ExecutionRequest",
    "Executor",
    "FileHelper",
    "Job",
    "Limits",
    "SnapshotWorker",
    "Stores",
]
