"""Boxes, as the runtime's tests have them."""

from tests.system.runtime.conftest import box, busybox_root, make_box

__all__ = ["box", "busybox_root", "make_box"]
