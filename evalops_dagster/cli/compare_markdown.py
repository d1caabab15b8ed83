"""A comparison as a comment for a pull request.

What belongs here: GitHub's Markdown, in which nothing that a suite, a model or a file says is markup, names anybody or
links anywhere. What does not: the words (compare_view, run.comparison_words), what is found (run.compare).
"""

import re
from collections.abc import Sequence

from evalops_core.mail.untrusted import few_lines
from evalops_core.run.compare import Comparison
from evalops_core.run.comparison_words import changes_of, few, p_of, rule_of
from evalops_dagster.cli.compare_view import (
    cases_of,
    drop_of,
    mde_of,
    number,
    repeats_of,
    side_of,
    signed,
    verdict_of,
)
from evalops_dagster.cli.sheet import shown

_TEXT = 1500
_FOLD = "<details><summary>Details</summary>"
_MARKUP = re.compile(r"([\\`*_\[\]<>#|~$&])")


def markdown_of(found: Comparison) -> str:
    """The comment: the verdict, a compact table, and everything else behind a fold."""
    said = found.said
    lines = [
        "<!-- evalops compare -->",
        f"### {_plain(verdict_of(found))}",
        "",
        _plain(f"{said.why[:1].upper()}{said.why[1:]}."),
        "",
        *_table(
            ("", ""),
            [
                (f"**{name}**", _plain(value))
                for name, value in (
                    ("baseline", side_of(found.baseline)),
                    ("candidate", side_of(found.candidate)),
                    ("drop", drop_of(found)),
                    ("p", p_of(said)),
                    ("smallest detectable drop", mde_of(found)),
                    ("cases", cases_of(found)),
                    ("changed", changes_of(found)),
                )
                if value is not None
            ],
        ),
    ]
    details = _details(found)
    return "\n".join([*lines, *(["", _FOLD, "", *details, "", "</details>"] if details else [])])


def _details(found: Comparison) -> list[str]:
    said = found.said
    facts = (
        ("rule", rule_of(said)),
        ("repeats", repeats_of(found)),
        ("missing cases", few(said.missing)),
        ("new cases", few(said.new)),
        ("unscored cases", few(sorted(found.candidate.sample.unscored))),
    )
    lines = [f"- {name}: {_plain(value)}" for name, value in facts if value is not None]
    if found.axes:
        rows = [(_plain(a.name), number(a.before), number(a.after), signed(a.delta)) for a in found.axes]
        lines += ["", *_table(("axis", "before", "after", "change"), rows)]
    if found.fallen:
        falls = [(_plain(f.case), number(f.before, 2), number(f.after, 2), number(f.z, 1)) for f in found.fallen]
        lines += ["", *_table(("case that fell most", "before", "after", "z"), falls)]
    for case in found.texts.values():
        lines += ["", f"**{_plain(case.case_id)}**"]
        texts = (
            ("input", case.input),
            ("reference", case.reference),
            ("before", case.answer_before),
            ("after", case.answer_after),
            ("judged", case.why),
        )
        for name, text in texts:
            lines += ["", f"{name}:", *_fenced(text)] if text else []
    return lines


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    aligned = ["---", *["---:" if len(headings) > 2 else "---"] * (len(headings) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (headings, aligned, *rows)]


def _plain(text: str) -> str:
    """One line in which nothing is markup; a name after `@` is told of nothing, and no number is a link."""
    escaped = _MARKUP.sub(r"\\\1", shown(text, 2000)).replace("://", ":\u200b//")
    return re.sub(r"([@]|\\#)(?=\w)", "\\1\u200b", escaped)


def _fenced(text: str) -> list[str]:
    """A block of code, its fence longer than any in the text."""
    kept = few_lines(text, _TEXT)
    longest = max((len(ticks) for ticks in re.findall("`+", kept)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", kept, fence]
