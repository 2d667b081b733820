"""A journal that is not the file that it was made as: moved, restored from a backup, or copied.

A copy does not know which rows its original sends. So a copy beside its original is refused, and if the original is
nowhere to be seen, the operator must know that it sends nothing more.
"""

from pathlib import Path

from sms_admin.bulk.journal import Journal
from sms_admin.bulk.task import Origin
from sms_admin.failures import Failed
from sms_admin.language import tr


def origin_elsewhere(journal: Journal) -> Origin | None:
    """Return the origin of a journal if it is another file, which is not there. Raises Failed if it is there."""
    origin, here = journal.task.origin, Origin.of(journal.path, journal.path)
    if origin is None or origin.inode == here.inode:  # the same file, perhaps with another name
        return None
    if origin.path != here.path and Path(origin.path).exists():
        name = journal.task.id
        raise Failed(
            f"this journal is a copy: the task {name} is in {origin.path}, resume it there",
            f"此日志是副本：任务 {name} 位于 {origin.path}，请在那里继续",
        )
    return origin


def question(origin: Origin) -> str:
    """Return the question about a journal whose origin is not there."""
    return tr(
        f"This journal was {origin.path}, perhaps on another machine. If that one is resumed too, or if this is a "
        "backup, people get the message twice. Was it moved, so that only this one is left?",
        f"此日志原为 {origin.path}，可能在另一台机器上。如果原日志也继续发送，或此日志来自备份，会有人收到两次。"
        "它是移动过来的、仅此一份吗？",
    )


def settle(journal: Journal) -> None:
    """Make the journal's file its origin. Raises JournalFull."""
    journal.change(origin=Origin.of(journal.path, journal.path))
