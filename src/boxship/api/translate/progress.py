"""Progress of transfers and builds as messages of a stream."""

from boxship.builder.request import BuildEvent
from boxship.image.progress import Progress
from boxship.wire.image import ProgressDetail, StreamMessage

_BAR = 50
_UNITS = ("B", "kB", "MB", "GB", "TB")


def message(progress: Progress) -> StreamMessage:
    """One record of a pull, push or load."""
    if progress.aux is not None:
        return StreamMessage(progress_detail=ProgressDetail(), aux=progress.aux)
    if progress.stream:
        return StreamMessage(stream=progress.stream)
    result = StreamMessage(status=progress.status, id=progress.id)
    if progress.current or progress.total:
        result.progress_detail = ProgressDetail(progress.current, progress.total)
        result.progress = bar(progress.current, progress.total)
    elif progress.id:
        result.progress_detail = ProgressDetail()
    return result


def build_message(event: BuildEvent) -> StreamMessage:
    """One record of a build."""
    if event.image_id:
        return StreamMessage(aux={"ID": event.image_id})
    if event.layer:
        detail = ProgressDetail(event.current, event.total)
        return StreamMessage(
            status=event.text.strip(),
            id=event.layer,
            progress_detail=detail,
            progress=bar(event.current, event.total) if event.total else "",
        )
    return StreamMessage(stream=event.text)


def bar(current: int, total: int) -> str:
    """`[=====>     ]  5.1MB/10MB`, as clients show it; sizes only when the total is unknown."""
    if total <= 0:
        return human_size(current) if current else ""
    done = min(current * _BAR // total, _BAR)
    arrow = "=" * max(done - 1, 0) + (">" if done else "")
    line = f"[{arrow:<{_BAR}}]" if current < total else f"[{'=' * _BAR}>]"
    return f"{line}  {human_size(current)}/{human_size(total)}"


def human_size(size: int) -> str:
    """Bytes in decimal units with four significant digits, as Docker prints them."""
    value = float(size)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.4g}{unit}"
        value /= 1000
    raise AssertionError
