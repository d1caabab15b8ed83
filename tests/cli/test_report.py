"""`evalops report`."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url

from tests.cli.calling import Evalops, settle
from tests.run.scored import Scored
from tests.run.test_compare import answers


@pytest.fixture(autouse=True)
def deployment(database_url: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Suites `orders` and one that cannot be read, `torn`; the test stands in an empty folder."""
    settle(monkeypatch, tmp_path, database_url, cases=2, torn=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def runs(engine: Engine) -> None:
    """Of `explain`, whose suite is gone: 1, 2, and 3 which is lower by 1."""
    scored = Scored(engine)
    scored.run(1, "4.100", answers=answers())
    scored.run(2, "4.100", answers=answers())
    scored.run(3, "3.100", answers=answers(fall=1.0))


@pytest.mark.usefixtures("runs")
def test_one_file_is_written_and_named(evalops: Evalops, database_url: SecretStr) -> None:
    said = evalops("report")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("wrote report.html: 3 features, ")
    assert said.out.endswith(" KB\n")
    html = Path("report.html").read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert html.rstrip().endswith("</html>")
    for name in ("explain", "orders", "torn"):
        assert f'id="feature-{name}"' in html
    password = make_url(database_url.get_secret_value()).password
    assert password
    assert str(password) not in html
    assert [path.name for path in Path().iterdir()] == ["report.html"]


def test_without_any_data_a_page_says_so(evalops: Evalops) -> None:
    said = evalops("report", "-o", "empty.html")
    assert (said.code, said.err) == (0, "")
    assert "Nothing has been evaluated yet" in Path("empty.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("runs")
def test_features_are_chosen_by_name(evalops: Evalops) -> None:
    said = evalops("report", "--feature", "explain", "--feature", "orders", "--feature", "explain")
    assert said.out.startswith("wrote report.html: 2 features")
    assert 'id="feature-torn"' not in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("runs")
def test_an_unknown_feature_is_refused_with_those_there_are(evalops: Evalops) -> None:
    said = evalops("report", "--feature", "explian")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: --feature: there is no feature 'explian'; there are explain, orders, torn\n"
    assert not Path("report.html").exists()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("words", [["1", "3"], ["baseline", "latest", "--feature", "explain"]])
def test_two_runs_are_compared_first_by_ids_and_by_words(evalops: Evalops, words: list[str]) -> None:
    said = evalops("report", "--compare", *words)
    assert (said.code, said.err) == (0, "")
    html = Path("report.html").read_text(encoding="utf-8")
    assert 0 < html.index('id="comparison"') < html.index('id="feature-explain"')


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--compare", "1", "9"], 2, "there is no eval run 9"),
        (["--compare", "3", "1"], 2, "the earlier run comes first"),
        (["--compare", "one", "3"], 2, "expected the id of an eval run"),
        (["--compare", "baseline", "latest"], 2, "say --feature NAME"),
        (["--compare", "baseline", "latest", "--feature", "orders"], 3, "no completed run of orders"),
        (["--limit", "0"], 2, "--limit"),
        (["--limit", "1001"], 2, "--limit"),
        (["-o", "."], 2, "cannot be written: it is a folder"),
        (["-o", "nowhere/report.html"], 2, "cannot be written: there is no folder nowhere"),
        (["-o", "/dev/null"], 2, "cannot be written: it is not a file"),
        (["-o", "a" * 300], 2, "too long"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_no_file(
    evalops: Evalops, arguments: list[str], code: int, words: str
) -> None:
    said = evalops("report", *arguments)
    assert (said.code, said.out) == (code, "")
    assert words in said.err.splitlines()[-1]
    assert not list(Path().iterdir())


def test_a_file_that_cannot_be_replaced_stays_as_it_was(evalops: Evalops, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("report.html").write_text("of yesterday")

    def full(_: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    said = evalops("report")
    assert said.code == 2
    assert said.err == "error: report.html: cannot be written: No space left on device\n"
    assert Path("report.html").read_text() == "of yesterday"
    assert [path.name for path in Path().iterdir()] == ["report.html"]


def test_a_link_is_followed_to_the_file_that_it_leads_to(evalops: Evalops, tmp_path: Path) -> None:
    Path("report.html").symlink_to(tmp_path / "kept.html")
    assert evalops("report").code == 0
    assert Path("report.html").is_symlink()
    assert (tmp_path / "kept.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_help_shows_how_it_is_called(evalops: Evalops) -> None:
    said = evalops("report", "--help")
    assert (said.code, said.err) == (0, "")
    assert "evalops report --compare 12 15" in said.out
    assert max(map(len, said.out.splitlines())) <= 80
