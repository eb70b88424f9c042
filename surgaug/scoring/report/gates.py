"""Quality gates: conditions on measures under which `score` fails (`--fail-if "kid>0.02"`)."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgaug.errors import UsageError
from surgaug.scoring.metrics import suggestion
from surgaug.scoring.report.model import Report

_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_PATTERN = re.compile(r"\s*([\w-]+)(?:\.(\w+))?\s*(<=|>=|<|>)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*")
FIELDS = ("value", "low", "high", "ratio", "n")


@dataclass(frozen=True)
class Gate:
    """Fails where `measure.field comparison bound` holds."""

    text: str
    measure: str
    field: str
    comparison: str
    bound: float


def parse(
    expressions: Iterable[str], known: Mapping[str, Sequence[str]], missing: Mapping[str, str]
) -> tuple[Gate, ...]:
    """Expressions such as "kid>0.02", "fid.ratio >= 3" or several joined by "or" or commas.

    Args:
        known: the keys of the measures that each name stands for.
        missing: of measures that cannot be had, why.

    Raises:
        UsageError: not such an expression, or a measure or field that does not exist (with the nearest name).
    """
    gates = []
    for text in expressions:
        for part in re.split(r",|\bor\b", text):
            try:
                measure, field, comparison, number = _PATTERN.fullmatch(part).groups()  # type: ignore[union-attr]
                field, bound = field or "value", float(number)
            except (AttributeError, ValueError):
                raise UsageError(
                    f"--fail-if {part.strip()!r}: expected MEASURE<NUMBER or MEASURE>NUMBER, as in 'psnr<20'"
                ) from None
            if measure in missing:
                raise UsageError(f"--fail-if {part.strip()!r}: {missing[measure]}")
            if measure not in known:
                raise UsageError(
                    f"--fail-if {part.strip()!r}: {measure!r} is not measured here{suggestion(measure, list(known))}; "
                    f"there are: {', '.join(known)}"
                )
            if field not in FIELDS:
                raise UsageError(f"--fail-if {part.strip()!r}: no field {field!r}{suggestion(field, list(FIELDS))}")
            gates += [Gate(part.strip(), key, field, comparison, bound) for key in known[measure]]
    return tuple(gates)


def check(report: Report, gates: Sequence[Gate]) -> tuple[dict[str, Any], ...]:
    """Each gate on each row, as {"gate", "measure", "row", "value", "failed", "reason"}; a missing figure fails."""
    results = []
    for gate in gates:
        for row in report.rows:
            measure = row.measures[gate.measure]
            value = getattr(measure, gate.field)
            compared = measure.rank_value if gate.field == "value" else value
            failed = compared is None or _COMPARE[gate.comparison](compared, gate.bound)
            reason = (measure.reason or f"no {gate.field}") if value is None else None
            results.append(
                {
                    "gate": gate.text,
                    "measure": gate.measure,
                    "row": row.name,
                    "value": value,
                    "failed": failed,
                    "reason": reason,
                }
            )
    return tuple(results)


def failures(results: Iterable[dict[str, Any]]) -> list[str]:
    """What to say of the gates that failed."""
    return [
        f"{r['row']}: {r['gate']} ("
        + (f"not measured: {r['reason']}" if r["value"] is None else f"{r['measure']} is {r['value']:.4g}")
        + ")"
        for r in results
        if r["failed"]
    ]
