"""A table in words: what it is asked by, what it needs and costs, and where its columns come from.

Names of the API, of tables and of columns stand between backticks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from ecr_source import catalog
from ecr_source.catalog.column import (
    Alike,
    ArnField,
    Asked,
    CallOutcome,
    Constant,
    Count,
    ImageReference,
    IsOneOf,
    Joined,
    Listed,
    Lookup,
    Member,
    Namespace,
    OfParent,
    OfScope,
    OrZero,
    Source,
)
from ecr_source.catalog.model import is_paginated
from ecr_source.catalog.table import EachRow, EachValue, Filling, Operation, RunTable, Table
from ecr_source.catalog.tables.image import IMAGES


def facts(table: Table | RunTable) -> dict[str, str]:
    """What there is to say of a table beside its columns, by what it is about."""
    key = {"key": _codes(table.key)}
    if joined := _joined_by_key(table):
        key["joined by it"] = _codes(joined)
    return key | _facts_of_calls(table) if isinstance(table, Table) else key


def _joined_by_key(table: Table | RunTable) -> list[str]:
    """The tables with its key in theirs: other facts of the same thing, and what hangs on it, but not on what does."""
    key = {*table.key}
    others = [one for one in catalog.TABLES if one is not table and key <= {*one.key}]
    hanging = [one for one in others if key < {*one.key}]
    return [one.name for one in others if not any({*other.key} < {*one.key} for other in hanging)]


def _facts_of_calls(table: Table) -> dict[str, str]:
    operations = table.operations
    numbers = [f"({number}) " if len(operations) > 1 else "" for number in range(1, len(operations) + 1)]
    named = (f"{number}`{each}`{_option(each)}" for number, each in zip(numbers, operations, strict=True))
    told = {
        "operations": ", ".join(named),
        "IAM actions": actions([table]),
        "cost": _by_number([cost(table, operation) for operation in operations], "; "),
    }
    return told | ({"left out": _left_out(table.left_out)} if table.left_out else {})


def actions(tables: Sequence[Table]) -> str:
    """The IAM actions that are needed, and those that an option adds."""
    return "; ".join(
        f"{_codes(actions)}{f' with `{option}`' if option else ''}"
        for option, actions in catalog.actions_by_option(tables).items()
    )


def _option(operation: Operation) -> str:
    """The option without which the operation is not called, where there is one."""
    makers = [maker for maker, without in catalog.FINDINGS_FROM.items() if operation not in without]
    return "" if len(makers) == len(catalog.FINDINGS_FROM) else f" with `--findings-from {makers[0]}`"


def _left_out(left_out: Mapping[str, str]) -> str:
    members: dict[str, list[str]] = {}
    for member, reason in left_out.items():
        members.setdefault(reason, []).append(member)
    return "; ".join(f"{_codes(names)} ({reason})" for reason, names in members.items())


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _by_number(texts: Sequence[str | None], between: str) -> str:
    """`(1, 2) this; (3) that`, each text once with the numbers of those that it is the text of."""
    numbers: dict[str, list[str]] = {}
    for number, text in enumerate(texts, 1):
        if text is not None:
            numbers.setdefault(text, []).append(str(number))
    if len(texts) == len(numbers.get(texts[0] or "", ())):
        return texts[0] or ""
    return between.join(f"({', '.join(which)}) {text}" for text, which in numbers.items())


def cost(table: Table, operation: Operation) -> str:
    """How many calls of `operation` the table costs, in words."""
    owner = _owner(operation)
    if owner is not table:
        return f"comes with the calls of `{owner.name}`"
    calls = _calls(operation) + _further_pages(operation) + _again(operation) + _conditions(table, operation)
    return f"{calls}{_listed_before(operation.parent)}"


def _owner(operation: Operation) -> Table:
    """The table that the calls are made for: the first that is filled by this operation before any other."""
    filled = [table for table in (*catalog.TABLES, *catalog.LISTINGS) if operation in table.operations]
    return next((table for table in filled if table.operation is operation), filled[0])


def _calls(operation: Operation) -> str:
    match operation.each:
        case EachRow(parent, _, 1):
            bounded = " within the bounds" if operation.again and operation.again.bounded else ""
            counted = operation.again.above_zero if operation.again else None
            chosen = f" whose `{counted}` is above 0" if counted else ""
            return f"one call {_article(parent)}{chosen}{bounded}"
        case EachRow(parent, asked, at_a_time):
            same = "".join(f" of a {name.removesuffix('Name')}" for name in asked if "[]" not in name)
            return f"one call for {at_a_time} {_words(parent.name)}{same}"
        case EachValue(parameter, values):
            return f"{len(values)} calls, one for each {parameter}: {_codes(values)}"
    paged = operation.page_size and is_paginated(operation)
    return f"one call for each {operation.page_size:,} {_paged(operation)}" if paged else "one call"


def _further_pages(operation: Operation) -> str:
    if not (isinstance(operation.each, EachRow) and operation.page_size and is_paginated(operation)):
        return ""
    return f", one more for each further {operation.page_size:,} {_paged(operation)}"


def _listed_before(parent: Table | None) -> str:
    """The calls that tell what to ask, where they fill no table that is loaded."""
    if parent not in catalog.LISTINGS:
        return ""
    return f"; before, `{parent.operation.name}`: {cost(parent, parent.operation)}"


def _conditions(table: Table, operation: Operation) -> str:
    conditions = [
        f",{_option(other)} only where ({number}) cannot be read"
        for number, other in enumerate(table.operations, 1)
        if other.instead is operation
    ]
    if where := operation.only_where:
        conditions.append(f", where `{where.operation}` tells {where.value}")
    return "".join(conditions)


def _again(operation: Operation) -> str:
    again = operation.again
    if operation.kept_while:
        return f", again only when {_codes(operation.kept_while[-1:])} is another one, or older than the age"
    if again is None:
        return ""
    changed = [f"with another `{again.changed}`"] if again.changed else []
    pushed = ["pushed again"] if operation.parent and "image_pushed_at" in operation.parent.columns else []
    old = [*pushed, "without a final answer", "older than the age"] if again.expires else []
    reasons = ["new", *changed, *old]
    return f", again only when {' or '.join(filter(None, (', '.join(reasons[:-1]), reasons[-1])))}"


def _paged(operation: Operation) -> str:
    """What the pages hold: the rows of the table that has one for each item, or the list in the API's words."""
    owner = _owner(operation)
    listings = [
        (len(filling.levels), filling.levels[0].count("."), table is not owner, _rows(table), filling.levels[0])
        for table in (*catalog.TABLES, *catalog.LISTINGS)
        for filling in table.fillings
        if filling.operation is operation and filling.levels
    ]
    depth, _, _, name, level = min(listings)
    if depth == 1:
        return name
    member = level.removesuffix("[]").removesuffix("List").rpartition(".")[2]
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in member).strip()
    return spaced if spaced.endswith("s") else f"{spaced}s"


def _rows(table: Table) -> str:
    return "images" if table.key == IMAGES.key else _words(table.name)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _article(parent: Table) -> str:
    noun = _rows(parent)
    noun = f"{noun.removesuffix('ies')}y" if noun.endswith("ies") else noun.removesuffix("s")
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def sources_of(table: Table, column: str, between: str = "; ") -> str:
    """Where a column comes from; in a table with several operations, by their numbers."""
    texts: dict[Operation, dict[str, None]] = {operation: {} for operation in table.operations}
    for filling in table.fillings:
        if column in filling.sources:
            texts[filling.operation][_described(filling, filling.sources[column])] = None
    return _by_number([", or ".join(found) or None for found in texts.values()], between)


def _described(filling: Filling, source: Source, levels: int = 0) -> str:
    rows = filling.rows_above(levels)
    match source:
        case Member(path):
            return f"`{_path(rows, path)}`"
        case OfParent(inner):
            return _described(filling, inner, levels + 1)
        case OfScope(_, told_by) | Asked(_, told_by):
            origin = f"asked for: {_asked(filling, source)}" if isinstance(source, Asked) else "the scope"
            return f"{origin}; checked by {_described(filling, told_by, levels)}" if told_by else origin
        case Joined(sources, _):
            of_a_row = dataclasses.replace(filling, rows="")
            return f"`{rows}`: {', '.join(_described(of_a_row, each) for each in sources)}, joined by vertical bars"
        case ArnField(path, field):
            return f"the {field} in `{_path(rows, path)}`"
        case ImageReference(path, part):
            return f"the {part.replace('_', ' ')} in the image reference `{_path(rows, path)}`"
        case Namespace(path):
            return f"the start of `{_path(rows, path)}`"
        case _:
            return _computed(source, rows)


def _asked(filling: Filling, source: Asked) -> str:
    assert filling.operation.parent is not None
    return f"`{filling.operation.parent.name}.{source.column}`"


def _computed(source: Source, rows: str) -> str:
    match source:
        case Constant(value, _):
            return f"always `{value}`" if value else "always empty"
        case CallOutcome(path, names):
            return f"what came of the call; `{path}`" if names else "what came of the call"
        case OrZero(within, path, _):
            return f"`{_path(rows, path)}`, 0 where there is only `{_path(rows, within)}`"
        case Alike():
            return f"the number of `{rows}` that are one row"
        case Count(path):
            return f"the number of `{_path(rows, path)}[]`"
        case Listed(path, _):
            return f"`{_path(rows, path)}[]`, sorted, joined by commas"
        case IsOneOf(path, _):
            return f"from `{_path(rows, path)}`"
        case Lookup(path, key, among, value, _, _):
            keys = " or ".join(f"`{name}`" for name in among)
            return f"`{_path(rows, path)}[].{value}` whose `{key}` is {keys}"
    return f"the position in `{rows}`, sorted by content"


def _path(rows: str, path: str) -> str:
    return ".".join(filter(None, (rows, path)))
