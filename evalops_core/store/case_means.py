"""The scores of whole runs, case by case, as statistics want them: reduced in the database, from the rows alone.

What belongs here: that one reduction, the same as `domain.score` makes it in Python (a test holds the two together).
What does not: what is made of it (domain.regression).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

# A repeat counts where every axis with a weight has a value; a case is the mean of its repeats that count.
_MEANS = text("""
    WITH weights AS (
        SELECT id, key AS axis, CAST(value AS double precision) AS share
        FROM evalops.eval_runs, jsonb_each_text(weights)
        WHERE id = ANY (CAST(:runs AS bigint[])) AND CAST(value AS double precision) > 0
    ),
    needed AS (SELECT id, count(*) AS axes FROM weights GROUP BY id),
    repeats AS (
        SELECT s.eval_run_id, s.case_id, s.repeat, least(greatest(sum(s.value * w.share), 1), 5) AS score
        FROM evalops.scores AS s
        JOIN weights AS w ON w.id = s.eval_run_id AND w.axis = s.scorer || '.' || s.axis
        JOIN needed ON needed.id = s.eval_run_id
        GROUP BY s.eval_run_id, s.case_id, s.repeat, needed.axes
        HAVING count(s.value) = needed.axes
    ),
    cases AS (
        SELECT eval_run_id, case_id, max(case_group) AS case_group
        FROM evalops.responses WHERE eval_run_id = ANY (CAST(:runs AS bigint[])) GROUP BY eval_run_id, case_id
    )
    SELECT cases.eval_run_id, cases.case_id, cases.case_group, avg(repeats.score) AS score
    FROM cases LEFT JOIN repeats USING (eval_run_id, case_id)
    GROUP BY cases.eval_run_id, cases.case_id, cases.case_group
    ORDER BY cases.eval_run_id, cases.case_id
""")


@dataclass(frozen=True, slots=True)
class CaseMeans:
    """One run. `scores` maps the scored cases to their mean on the 1–5 scale, `unscored` are the ids of the others,
    `groups` maps the cases that share a source with others to its name."""

    scores: dict[str, float] = field(default_factory=dict[str, float])
    groups: dict[str, str] = field(default_factory=dict[str, str])
    unscored: set[str] = field(default_factory=set[str])


def case_means(connection: Connection, run_ids: Sequence[int]) -> Mapping[int, CaseMeans]:
    """Each of the runs, those without rows included."""
    found = {run_id: CaseMeans() for run_id in run_ids}
    for row in connection.execute(_MEANS, {"runs": list(run_ids)}):
        means = found[row.eval_run_id]
        if row.score is None:
            means.unscored.add(row.case_id)
        else:
            means.scores[row.case_id] = row.score
        if row.case_group is not None:
            means.groups[row.case_id] = row.case_group
    return found
