"""What must hold for an operation to say anything of a registry: where it does not, nothing is asked."""

from __future__ import annotations

from ecr_source.aws.api import Api
from ecr_source.catalog.table import OnlyWhere, Operation
from ecr_source.errors import BudgetSpent, NotOffered
from ecr_source.extract.failures import UNREADABLE, Failures
from ecr_source.extract.operations.questions import Nothing, NothingThere, Parents
from ecr_source.statuses import FAILED, POSTPONED, SKIPPED


def unmet_precondition(
    api: Api, operation: Operation, parents: Parents | None, failures: Failures
) -> Nothing | NothingThere | None:
    """Why the operation says nothing of this registry; None if it does. What cannot be told is noted as a failure."""
    if not api.can_ask(operation):
        return Nothing(SKIPPED, f"{operation} tells of the caller's own registry only")
    if operation.only_where is None:
        return None
    if operation.instead:
        return _unless_told(api, operation, operation.only_where, failures)
    return _nothing_unless_told(api, operation.only_where, parents, failures)


def _unless_told(api: Api, operation: Operation, where: OnlyWhere, failures: Failures) -> Nothing | None:
    """Nothing where another operation is read instead."""
    try:
        if api.tells(where):
            return None
    except UNREADABLE as error:
        failures.note(error)
    except BudgetSpent:
        pass  # what is read instead is postponed too
    return Nothing(SKIPPED, f"{operation.instead} was read instead: {_untold(where)}")


def _nothing_unless_told(
    api: Api, where: OnlyWhere, parents: Parents | None, failures: Failures
) -> Nothing | NothingThere | None:
    """Nothing where what is asked about was not read; that nothing is there, where that is told."""
    if parents is not None and parents.file is None:
        return Nothing(parents.status)
    try:
        return None if api.tells(where) else NothingThere(_untold(where))
    except UNREADABLE as error:
        failures.fail(error)
        return Nothing(failures.status or FAILED, str(error) if isinstance(error, NotOffered) else "")
    except BudgetSpent:
        return Nothing(POSTPONED)


def _untold(where: OnlyWhere) -> str:
    return f"{where.operation} does not tell {where.value}"
