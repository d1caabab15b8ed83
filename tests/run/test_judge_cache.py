"""Judgments that are not asked for twice, over real HTTP: when they are taken, when not, and what becomes of money."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from evalops_core.domain.eval_run import EvalRun
from evalops_core.domain.suite import Suite
from evalops_core.domain.window import window_of
from evalops_core.run.evaluate import evaluate
from evalops_core.run.plan import Plan
from evalops_core.run.progress import Progress, silent
from evalops_core.suites.loader import load_suite
from evalops_core.wiring import Workshop
from tests.builders import JUDGED, judge_settings, make_suite, make_workshop
from tests.mock_fixture import MockOpenAI

PRICES = {name: {"input_per_mtok": "10", "output_per_mtok": "10"} for name in ("mock-model", "mock-judge")}
WITH_RULE = JUDGED.replace("repeats:", "  - {type: exact}\nrepeats:")


@pytest.fixture
def suite(mock_openai: MockOpenAI, tmp_path: Path) -> Suite:
    return make_suite(tmp_path, mock_openai.base_url, cases=10)


@pytest.fixture
def judged(mock_openai: MockOpenAI) -> Callable[[], int]:
    """How many judgments were asked for since the last look."""
    seen = 0

    def count() -> int:
        nonlocal seen
        before, seen = seen, mock_openai.stats()["by_kind"].get("judge", 0)
        return seen - before

    return count


def run(workshop: Workshop, suite: Suite, **plan: Any) -> EvalRun:
    run_type = plan.pop("run_type", "manual")
    return asyncio.run(evaluate(workshop.plan(suite, run_type=run_type, **plan), workshop.tools, silent))


def with_settings(workshop: Workshop, **changes: Any) -> Workshop:
    return make_workshop(workshop.engine, workshop.settings.model_copy(update=changes))


def interrupt(workshop: Workshop, plan: Plan, done: int) -> None:
    """Cancel in the middle of the judgments, once `done` are there."""

    async def scenario() -> None:
        def report(progress: Progress) -> None:
            if progress.stage == "judgments" and progress.done >= done:
                task.cancel()

        task = asyncio.ensure_future(evaluate(plan, workshop.tools, report))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def judges_of(workshop: Workshop, run: EvalRun) -> set[str | None]:
    return {row.model for row in workshop.tools.results.scores(run.id)} - {None}


def entries(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM evalops.judge_cache")).scalar_one()


def test_a_second_run_takes_every_judgment_of_the_first_and_the_same_scores_with_their_reasons(
    workshop: Workshop, suite: Suite, mock_openai: MockOpenAI
) -> None:
    first, second = run(workshop, suite), run(workshop, suite)
    assert mock_openai.stats()["by_kind"] == {"generate": 20, "judge": 10}
    assert (second.status, second.n, second.score, second.judge_model_id) == (
        "completed",
        10,
        first.score,
        "mock-judge",
    )
    assert second.comparability == first.comparability

    def said(of: EvalRun) -> list[tuple[object, ...]]:
        return [(s.case_id, s.axis, s.outcome, s.rationale) for s in workshop.tools.results.scores(of.id)]

    assert said(second) == said(first)
    assert (workshop.judgments_from_cache(first.id), workshop.judgments_from_cache(second.id)) == (0, 10)


def test_what_is_taken_is_neither_reserved_nor_paid_nor_counted_as_tokens(
    engine: Engine, suite: Suite, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    priced = judge_settings(mock_openai.base_url, tmp_path / "home", prices=PRICES)
    workshop = make_workshop(engine, priced)
    first = run(workshop, suite)
    day = workshop.tools.now().date()
    before = workshop.tools.ledger.spent(day, purpose="eval.judge")
    tokens = mock_openai.stats()
    answers = workshop.tools.ledger.spent(day, purpose="eval.generate")
    second = run(with_settings(workshop, hard_cap_run_usd=answers.usd * 3, completion_ceiling=100), suite)
    assert (second.status, second.n) == ("completed", 10)
    assert workshop.tools.ledger.spent(day, purpose="eval.judge") == before
    assert second.cost_usd == answers.usd
    assert first.cost_usd == answers.usd + before.usd
    now = mock_openai.stats()
    assert second.prompt_tokens == now["prompt_tokens"] - tokens["prompt_tokens"]


def test_a_price_that_nobody_knows_does_not_hide_that_a_taken_judgment_was_free(
    workshop: Workshop, suite: Suite
) -> None:
    run(workshop, suite)
    second = run(workshop, suite)
    taken = [row for row in workshop.tools.results.scores(second.id) if row.model]
    assert {(row.cost_usd, row.prompt_tokens, row.completion_tokens) for row in taken} == {(0, 0, 0)}
    assert second.cost_usd is None, "nobody knows what the answers cost"


@pytest.mark.parametrize(
    "change",
    [
        ("- {name: clarity, description: 5 is clear.}", "- {name: clarity, description: 5 is plain.}"),
        ('"{{ input }}"', '"Please: {{ input }}"'),
        ("type: judge", "type: judge\n    name: other"),
    ],
)
def test_another_rubric_prompt_or_scorer_is_another_question(
    workshop: Workshop, suite: Suite, judged: Callable[[], int], change: tuple[str, str]
) -> None:
    run(workshop, suite)
    file = suite.folder / "suite.yaml"
    file.write_text(file.read_text().replace(*change))
    judged()
    run(workshop, load_suite(suite.folder))
    assert judged() == 10


def test_another_reference_or_answer_is_asked_about_and_the_other_cases_are_not(
    workshop: Workshop, suite: Suite, judged: Callable[[], int]
) -> None:
    run(workshop, suite)
    file = suite.folder / "cases.jsonl"
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace("It is paid.", "It is open.")
    lines[7] = lines[7].replace("What about", "And what about")
    file.write_text("\n".join(lines))
    judged()
    again = run(workshop, load_suite(suite.folder))
    assert (judged(), workshop.judgments_from_cache(again.id), again.n) == (2, 8, 10)


def test_another_weight_of_an_axis_asks_the_judge_nothing(
    workshop: Workshop, suite: Suite, judged: Callable[[], int]
) -> None:
    run(workshop, suite)
    file = suite.folder / "suite.yaml"
    file.write_text(file.read_text().replace("weight: 2", "weight: 9"))
    judged()
    run(workshop, load_suite(suite.folder))
    assert judged() == 0


@pytest.mark.parametrize(
    "changes", [{"judge_model": "other"}, {"judge_parameters": {"seed": 1}}, {"port": "localhost"}]
)
def test_another_judge_is_asked_itself(
    workshop: Workshop, suite: Suite, judged: Callable[[], int], changes: dict[str, Any]
) -> None:
    run(workshop, suite)
    if "port" in changes:
        changes = {"judge_base_url": workshop.settings.judge_base_url.replace("127.0.0.1", "localhost")}
    judged()
    run(with_settings(workshop, **changes), suite)
    assert judged() == 10


def test_judgments_that_failed_are_not_kept(
    workshop: Workshop, suite: Suite, mock_openai: MockOpenAI, judged: Callable[[], int]
) -> None:
    mock_openai.configure(rate_badscore=1.0)
    assert run(workshop, suite).status == "invalid"
    assert entries(workshop.engine) == 0
    mock_openai.configure(rate_badscore=0.0)
    judged()
    assert run(with_settings(workshop), suite).n == 10
    assert judged() == 10


def test_without_the_cache_every_judgment_is_asked_for_and_kept_as_the_newest(
    workshop: Workshop, suite: Suite, mock_openai: MockOpenAI, judged: Callable[[], int]
) -> None:
    run(workshop, suite)
    mock_openai.configure(resolved_model="judge-b")
    judged()
    anew = run(workshop, suite, use_cache=False)
    assert (judged(), workshop.judgments_from_cache(anew.id)) == (10, 0)
    third = run(workshop, suite)
    assert (judged(), third.judge_model_id) == (0, "judge-b")


@pytest.mark.parametrize("off", [{"judge_cache": False}, {"judge_cache_days": 0}])
def test_settings_switch_it_off_altogether(
    workshop: Workshop, suite: Suite, judged: Callable[[], int], off: dict[str, Any]
) -> None:
    without = with_settings(workshop, **off)
    for _ in range(2):
        run(without, suite)
        assert judged() == 10
    assert entries(workshop.engine) == 0


def test_repeats_are_judged_each_and_by_every_run(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path, judged: Callable[[], int]
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=3, repeats=2)
    for _ in range(2):
        run(workshop, suite)
        assert judged() == 6
    assert entries(workshop.engine) == 0


def test_cases_and_scorers_of_one_run_that_ask_the_same_are_judged_each(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path, judged: Callable[[], int]
) -> None:
    judge = JUDGED[JUDGED.index("  - type: judge") : JUDGED.index("    fallback:")]
    other = judge.replace("type: judge", "type: judge\n    name: other")
    suite = make_suite(tmp_path, mock_openai.base_url, yaml=JUDGED.replace("repeats:", other + "repeats:"))
    file = suite.folder / "cases.jsonl"
    first = file.read_text().splitlines()[0]
    same = first.replace('"id": "case-000000"', '"id": "same"')
    file.write_text(f"{first}\n{same}\n")
    suite = load_suite(suite.folder)
    run(workshop, suite)
    assert judged() == 4
    run(workshop, suite)
    assert judged() == 0


def test_a_confirming_run_judges_for_itself(workshop: Workshop, suite: Suite, judged: Callable[[], int]) -> None:
    first = run(workshop, suite, run_type="scheduled")
    judged()
    run(workshop, suite, confirms_run_id=first.id)
    assert judged() == 10


@pytest.mark.parametrize("takes", [False, True])
def test_scheduled_runs_judge_for_themselves_unless_the_settings_say_otherwise_and_keep_what_they_hear(
    workshop: Workshop, suite: Suite, judged: Callable[[], int], *, takes: bool
) -> None:
    site = with_settings(workshop, allow_past_windows=True, judge_cache_scheduled=takes)
    yesterday = window_of(site.tools.now() - timedelta(days=1), 24).key
    run(site, suite, run_type="scheduled", partition_key=yesterday)
    assert judged() == 10
    run(site, suite, run_type="scheduled")
    assert judged() == (0 if takes else 10)
    run(site, suite)
    assert judged() == 0


def test_rules_are_applied_in_any_case(workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=4, yaml=WITH_RULE)
    first, second = run(workshop, suite), run(workshop, suite)
    assert (second.breakdown, second.score) == (first.breakdown, first.score)
    assert workshop.judgments_from_cache(second.id) == 4


def test_a_judge_that_resolves_to_another_id_makes_the_run_give_back_what_it_took(
    workshop: Workshop, suite: Suite, mock_openai: MockOpenAI, judged: Callable[[], int]
) -> None:
    run(workshop, suite, limit=6)
    mock_openai.configure(resolved_model="judge-b")
    judged()
    mixed = run(workshop, suite)
    assert judged() == 10
    assert (mixed.n, judges_of(workshop, mixed), mixed.comparability.judge) == (10, {"judge-b"}, "judge-b")
    assert workshop.judgments_from_cache(mixed.id) == 0
    third = run(workshop, suite)
    assert (judged(), third.judge_model_id) == (0, "judge-b")


def test_only_judgments_of_the_id_that_was_seen_last_are_taken(
    workshop: Workshop, suite: Suite, mock_openai: MockOpenAI, judged: Callable[[], int]
) -> None:
    run(workshop, suite)
    mock_openai.configure(resolved_model="judge-b")
    run(workshop, suite, limit=1, use_cache=False)
    judged()
    again = run(workshop, suite)
    assert (judged(), workshop.judgments_from_cache(again.id)) == (9, 1)
    assert judges_of(workshop, again) == {"judge-b"}


def test_an_interrupted_run_goes_on_with_its_own_rows_and_then_the_cache(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path, judged: Callable[[], int]
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=30)
    run(workshop, suite, limit=10)
    interrupt(workshop, workshop.plan(suite, run_type="manual"), done=14)
    left = workshop.tools.runs.recent("orders", 1)[0]
    stored = len(workshop.tools.results.scores(left.id)) // 2
    judged()
    done = run(workshop, suite)
    assert (done.id, done.n) == (left.id, 30)
    assert judged() == 30 - stored
    assert workshop.judgments_from_cache(done.id) == 10


def test_what_an_interrupted_run_took_from_a_judge_that_has_changed_since_is_asked_for_anew(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=30)
    run(workshop, suite, limit=10)
    mock_openai.configure(resolved_model="judge-b")
    interrupt(workshop, workshop.plan(suite, run_type="manual"), done=14)  # before it could give anything back
    left = workshop.tools.runs.recent("orders", 1)[0]
    assert judges_of(workshop, left) == {"mock-judge", "judge-b"}
    done = run(workshop, suite)
    assert (done.id, done.n, judges_of(workshop, done)) == (left.id, 30, {"judge-b"})


def test_an_interrupted_run_that_goes_on_without_the_cache_asks_about_what_it_took(
    workshop: Workshop, mock_openai: MockOpenAI, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path, mock_openai.base_url, cases=30)
    run(workshop, suite, limit=10)
    interrupt(workshop, workshop.plan(suite, run_type="manual"), done=14)
    done = run(workshop, suite, use_cache=False)
    assert (done.n, workshop.judgments_from_cache(done.id)) == (30, 0)


def test_entries_are_looked_up_by_the_chunk_and_kept_with_the_rows(
    workshop: Workshop, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalops_core.run.plan.CHUNK", 5)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def commit(_connection: object) -> None:
        statements.append("COMMIT")

    run(workshop, suite, limit=4)
    event.listen(workshop.engine, "before_cursor_execute", note)
    event.listen(workshop.engine, "commit", commit)
    run(workshop, suite)
    assert sum("SELECT key, axes FROM evalops.judge_cache" in s for s in statements) == 2
    transactions = "\n".join(statements).split("COMMIT")
    keeping = [one for one in transactions if "INSERT INTO evalops.judge_cache" in one]
    assert 1 <= len(keeping) <= 6
    assert all("INSERT INTO evalops.scores" in one for one in keeping), "in the rows' own transaction"
    assert entries(workshop.engine) == 10


def test_entries_that_are_too_old_are_asked_for_anew_and_forgotten(
    workshop: Workshop, suite: Suite, judged: Callable[[], int]
) -> None:
    run(workshop, suite)
    with workshop.engine.begin() as connection:
        connection.execute(text("UPDATE evalops.judge_cache SET created_at = now() - interval '31 days'"))
    judged()
    run(workshop, suite, limit=2)
    assert (judged(), entries(workshop.engine)) == (2, 2)


def test_neither_the_judges_key_nor_an_answer_is_stored_with_an_entry(
    engine: Engine, mock_openai: MockOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock_openai.configure(require_key="sk-secret")
    monkeypatch.setenv("KEY_OF_THE_SUITE", "sk-secret")
    keyed = JUDGED.replace("model: {", "model: {api_key_env: KEY_OF_THE_SUITE, ")
    suite = make_suite(tmp_path, mock_openai.base_url, cases=2, yaml=keyed)
    settings = judge_settings(mock_openai.base_url, tmp_path / "home", judge_api_key="sk-secret")
    assert run(make_workshop(engine, settings), suite).n == 2
    with engine.connect() as connection:
        stored = list(connection.scalars(text("SELECT CAST(entry AS text) FROM evalops.judge_cache AS entry")))
    assert len(stored) == 2
    assert not [words for words in stored if "sk-secret" in words or "Answer to" in words]
