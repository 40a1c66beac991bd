"""Volumes: named directories that outlive containers."""

from boxship.volume.service import VolumeService as VolumeService
from boxship.volume.service import is_anonymous_name as is_anonymous_name
