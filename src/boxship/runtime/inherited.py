"""What the keeper gave itself and its children's containers must not inherit."""

from boxship import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel


def give_back(kernel: "Kernel", nofile: str, oom_score: str) -> None:
    """Take the limits and the OOM score that containers start from.

    Args:
        kernel: the door to the kernel.
        nofile: soft and hard RLIMIT_NOFILE, `soft:hard`.
        oom_score: oom_score_adj.
    """
    soft, hard = (int(text) for text in nofile.split(":"))
    try:
        kernel.set_limits(0, "RLIMIT_NOFILE", soft, hard)
        kernel.write_text("/proc/self/oom_score_adj", oom_score)
    except OSError as e:
        log.warn(f"limits of containers: {e}")
