"""Every word for what came of a call, a table, a scope or a check, as it stands in tables, outcomes and reports."""

from __future__ import annotations

COMPLETE = "complete"
"""Read to the end; of a call, answered."""

BOUNDED = "bounded"
"""Read to the end, but for the images that a bound leaves out."""

SELECTED = "selected"
"""All repositories that were asked for by name were read, and no others."""

PARTIAL = "partial"
"""Read but for some repositories or images that could not be read."""

AS_ASKED = {COMPLETE, BOUNDED, SELECTED}
"""The statuses of what was read as it was asked for."""

READ = {*AS_ASKED, PARTIAL}
"""The statuses of what was read, so that its rows are loaded."""

POSTPONED = "postponed"
"""The budget was spent before."""

SKIPPED = "skipped"
"""Not asked for."""

FAILED = "failed"
"""Not answered, for no reason that has a word of its own."""

NOT_OFFERED = "not_offered"
"""The region, or the partition, does not have the operation."""

DENIED = "denied"
DISABLED = "disabled"
GONE = "gone"
ABSENT = "absent"

LEFT_OUT = "left_out"
"""Not asked, because a bound leaves the image out."""

CALL_FAILED = "call_failed"
NOT_ASKED = "not_asked"

NO_ANSWER = (DENIED, CALL_FAILED, LEFT_OUT, NOT_ASKED)
"""The outcomes of calls that were not answered, or not made."""

UNANSWERED = {DENIED, CALL_FAILED, NOT_ASKED}
"""Those of them that leave what an earlier call was answered."""

NO_POLICY = "no_policy"
NEVER_SCANNED = "never_scanned"
NOT_REPLICATED = "not_replicated"
NOT_SIGNED = "not_signed"

REMARKS = {
    NEVER_SCANNED: " (so that nobody knows what is in it)",
    "unsupported": " (it cannot be scanned)",
    "failed": " (its scan)",
    "archived": " (it is not scanned while it is)",
    "pending": " (its scan is under way)",
    LEFT_OUT: " (by a bound)",
    NOT_ASKED: " (budget spent)",
}
"""What some outcomes mean, where they are listed."""

NONE_YET = {NEVER_SCANNED, NOT_REPLICATED, NOT_SIGNED, "not_found"}
"""The answers that there is nothing to tell of an image, which can change; the last as earlier versions wrote it."""

UNKNOWN = "unknown"
"""Nothing is noted of it."""

PENDING = "pending"
"""The answer is that there will be one."""

ALLOWED = "allowed"
"""A check was answered."""

NOT_CHECKED = "not asked"
"""There is no repository or no image that a check could ask for, or they may not be listed."""
