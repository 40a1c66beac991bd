"""Ask before something is deleted that may be wanted."""

import sys


def confirm(warning: str) -> bool:
    """Show a warning and ask; no answer means no."""
    sys.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline().strip().lower()
    return answer in ("y", "yes")
