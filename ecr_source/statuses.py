"""Every word for what came of a call, a table, a scope or a check, as it stands in tables, outcomes and reports."""

from __future__ import annotations

COMPLETE = "complete"
"""Read to the end; of a call, answered."""

PARTIAL = "partial"
"""Read but for some repositories or images, or only those that were asked for by name."""

READ = {COMPLETE, PARTIAL}
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

NO_ANSWER = {DENIED: "", CALL_FAILED: "", LEFT_OUT: " (by a bound)", NOT_ASKED: " (budget spent)"}
"""The outcomes of calls that were not answered, or not made, each with a remark."""

UNANSWERED = {DENIED, CALL_FAILED, NOT_ASKED}
"""Those of them that leave what an earlier call was answered."""

NOT_FOUND = "not_found"
"""There is none to tell of."""

UNKNOWN = "unknown"
"""Nothing is noted of it."""

PENDING = "pending"
"""The answer is that there will be one."""

ALLOWED = "allowed"
"""A check was answered."""

NOT_CHECKED = "not asked"
"""There is no repository or no image that a check could ask for, or they may not be listed."""
