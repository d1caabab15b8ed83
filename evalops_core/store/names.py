"""Which features a table names, found by stepping from each name to the next in an index that begins with `feature`.

What belongs here: that one statement. What does not: which tables and rows count (features, history, verdicts).
"""

from sqlalchemy import Text, TextualSelect, column, text


def names_in(table: str, condition: str = "true") -> TextualSelect:
    """The column `feature`: each name once, in the database's order. DISTINCT would read every row for them.

    `table` and `condition` are constants of ours; an index of the table must hold the condition's rows.
    """
    statement = text(f"""
        WITH RECURSIVE names AS (
            (SELECT feature FROM evalops.{table} WHERE {condition} ORDER BY feature LIMIT 1)
            UNION ALL
            SELECT (
                SELECT feature FROM evalops.{table} WHERE feature > names.feature AND {condition}
                ORDER BY feature LIMIT 1
            ) FROM names WHERE names.feature IS NOT NULL
        )
        SELECT feature FROM names WHERE feature IS NOT NULL
    """)  # noqa: S608  # constants of ours
    return statement.columns(column("feature", Text))
