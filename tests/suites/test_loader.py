import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalops_core.domain.suite import Suite
from evalops_core.errors import ConfigError
from evalops_core.settings import SHIPPED_SUITES
from evalops_core.suites.loader import find_suites, load_suite, load_suites
from tests.suites.folders import CASES, YAML, refusal, write_suite

SCRATCH = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def loaded(folder: Path) -> Suite | ConfigError:
    try:
        return load_suite(folder)
    except ConfigError as error:
        return error


def test_the_folder_names_the_feature(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "with spaces" / "and é", "my_feature_2")
    suite = load_suite(folder)
    assert (suite.feature, suite.folder, suite.cases[0].id) == ("my_feature_2", folder, "a")


@pytest.mark.parametrize("name", ["Explain", "2nd", "a-b", "a b", "_a", "a" * 64])
def test_a_folder_whose_name_is_no_feature_is_refused(tmp_path: Path, name: str) -> None:
    assert "lower-case letters" in str(refusal(write_suite(tmp_path, name)))


def test_a_relative_folder_is_found(tmp_path: Path) -> None:
    folder = write_suite(tmp_path)
    assert load_suite(folder / ".." / "explain" / ".").folder == folder


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../other/cases.jsonl", "sub/../../other/cases.jsonl", "out.jsonl", "out/cases.jsonl"]
)
def test_cases_outside_the_folder_are_refused(tmp_path: Path, path: str) -> None:
    other = write_suite(tmp_path, "other")
    folder = write_suite(tmp_path, yaml=f"{YAML}cases: {path}\n")
    (folder / "out.jsonl").symlink_to(other / "cases.jsonl")
    (folder / "out").symlink_to(other)
    error = refusal(folder)
    assert (error.line, error.key) == (7, "cases")
    assert "leads out of the suite's folder" in str(error)


def test_a_suite_file_that_links_out_of_the_folder_is_refused_unread(tmp_path: Path) -> None:
    folder = write_suite(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("password: hunter2")
    (folder / "suite.yaml").unlink()
    (folder / "suite.yaml").symlink_to(secret)
    error = str(refusal(folder))
    assert "suite.yaml: is a link that leads out of the suite's folder" in error
    assert "password" not in error
    secret.rename(folder / "kept.yaml")
    (folder / "kept.yaml").write_text(YAML)
    (folder / "suite.yaml").unlink()
    (folder / "suite.yaml").symlink_to("kept.yaml")
    assert load_suite(folder).cases


@pytest.mark.parametrize("path", ["sub/cases.jsonl", "./cases.jsonl", "..data/cases.jsonl", "link.jsonl"])
def test_cases_anywhere_inside_the_folder_are_read(tmp_path: Path, path: str) -> None:
    folder = write_suite(tmp_path, yaml=f"{YAML}cases: {path}\n")
    for name in ("sub", "..data"):
        (folder / name).mkdir()
        (folder / name / "cases.jsonl").write_text(CASES)
    (folder / "link.jsonl").symlink_to("cases.jsonl")
    assert len(load_suite(folder).cases) == 1


def test_a_suite_reached_by_a_link_is_read_under_the_links_name(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "elsewhere", "released_v2")
    (tmp_path / "explain").symlink_to(folder)
    assert load_suite(tmp_path / "explain").feature == "explain"


def test_links_in_a_circle_and_impossible_names_are_refused(tmp_path: Path) -> None:
    folder = write_suite(tmp_path)
    (folder / "cases.jsonl").unlink()
    (folder / "cases.jsonl").symlink_to("cases.jsonl")
    assert "cannot be" in str(refusal(folder))
    long = "a" * 5000
    assert "cannot be" in str(refusal(write_suite(tmp_path, "other", yaml=f"{YAML}cases: {long}\n")))


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    folder = write_suite(tmp_path)
    (folder / "cases.jsonl").unlink()
    assert str(refusal(folder)) == f"{folder / 'cases.jsonl'}: does not exist; create it"
    assert "suite.yaml: is empty" in str(refusal(write_suite(tmp_path, yaml="# nothing\n")))
    (folder / "suite.yaml").unlink()
    assert str(refusal(folder)) == f"{folder / 'suite.yaml'}: does not exist; create it"


def test_a_suite_that_is_not_utf_8_is_refused_by_line_and_byte(tmp_path: Path) -> None:
    error = refusal(write_suite(tmp_path, yaml=b"description: x\nowner: caf\xe9\n"))
    assert error.line == 2
    assert "byte 25 (0xe9) is not UTF-8" in str(error)


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    assert isinstance(loaded(write_suite(tmp_path, yaml=b"\xef\xbb\xbf" + YAML.encode())), Suite)


def test_a_huge_suite_file_is_refused_unread(tmp_path: Path) -> None:
    folder = write_suite(tmp_path)
    os.truncate(folder / "suite.yaml", 200_000_000)
    assert "has 200.0 MB and at most 1 MB are read" in str(refusal(folder))


def test_every_suite_of_every_root_is_loaded_by_name(tmp_path: Path) -> None:
    write_suite(tmp_path / "one", "b")
    write_suite(tmp_path / "one", ".hidden")
    write_suite(tmp_path / "two", "a")
    (tmp_path / "two" / "notes").mkdir()
    (tmp_path / "two" / "README.md").write_text("x")
    suites = load_suites([tmp_path / "one", tmp_path / "two", tmp_path / "one"])
    assert list(suites) == ["a", "b"]
    assert suites["a"].folder == tmp_path / "two" / "a"


def test_a_feature_in_two_roots_is_refused_with_both_named(tmp_path: Path) -> None:
    for root in ("one", "two"):
        write_suite(tmp_path / root)
    with pytest.raises(ConfigError) as caught:
        load_suites([tmp_path / "one", tmp_path / "two"])
    assert str(tmp_path / "one" / "explain") in str(caught.value)
    assert str(tmp_path / "two" / "explain") in str(caught.value)


def test_a_root_that_is_absent_a_file_or_without_suites_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, words in (("absent", "does not exist"), ("empty", "holds no folder"), ("file", "cannot be listed")):
        with pytest.raises(ConfigError, match=words):
            find_suites([tmp_path / name])


def test_cases_without_a_suite_are_a_mistake_and_not_skipped(tmp_path: Path) -> None:
    (write_suite(tmp_path) / "suite.yaml").unlink()
    with pytest.raises(ConfigError, match=r"suite\.yaml: does not exist"):
        load_suites([tmp_path])


def test_the_shipped_suites_load_and_are_large_enough() -> None:
    suites = load_suites([SHIPPED_SUITES])
    assert set(suites) >= {"explain", "extract", "sentiment", "translate"}
    assert all(len(suite.cases) >= 40 for suite in suites.values())


@given(order=st.permutations(range(8)))
@SCRATCH
def test_the_dataset_hash_does_not_depend_on_the_order_of_the_cases(tmp_path: Path, order: list[int]) -> None:
    lines = [json.dumps({"id": n, "input": {"word": f"w{n}"}, "reference": str(n)}) for n in range(8)]
    straight = load_suite(write_suite(tmp_path, cases="\n".join(lines)))
    shuffled = load_suite(write_suite(tmp_path, cases="\n\n".join(lines[n] for n in order)))
    assert shuffled.dataset_hash == straight.dataset_hash


def test_a_changed_case_prompt_or_scorer_changes_its_own_hash_alone(tmp_path: Path) -> None:
    def hashes(yaml: str = YAML, cases: str = CASES) -> tuple[str, str, str]:
        suite = load_suite(write_suite(tmp_path, yaml=yaml, cases=cases))
        return suite.dataset_hash, suite.prompt_hash, suite.rubric_hash

    plain = hashes()
    assert hashes(yaml=YAML + "repeats: 3\n") == plain
    for index, other in enumerate(
        (
            hashes(cases=CASES.replace("money", "shore")),
            hashes(yaml=YAML.replace("Explain {{", "Define {{")),
            hashes(yaml=YAML.replace("type: exact", "type: contains")),
        )
    ):
        assert [mine != its for mine, its in zip(plain, other, strict=True)] == [n == index for n in range(3)]


_LINES = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ).flatmap(
            lambda value: st.sampled_from(["id", "input", "reference", "metadata", "group", "vars"]).map(
                lambda key: json.dumps({"id": "x", "input": {"word": "y"}, "reference": "z", key: value}).encode()
            )
        ),
    ),
    max_size=4,
).map(b"\n".join)


@given(content=st.one_of(st.binary(max_size=100), _LINES))
@SCRATCH
def test_any_bytes_as_cases_give_a_suite_or_one_sentence(tmp_path: Path, content: bytes) -> None:
    found = loaded(write_suite(tmp_path, cases=content))
    assert found.dataset_hash if isinstance(found, Suite) else "\n" not in str(found)


_PIECES = st.sampled_from(
    [
        *YAML.splitlines(),
        "interval: 6h",
        "cases: x",
        "model: {name: y}",
        "  - ",
        "owner: &a b",
        "  weight: 0",
        "{{",
        "é",
    ]
)


@given(text=st.one_of(st.text(max_size=100), st.lists(_PIECES, max_size=10).map("\n".join)))
@SCRATCH
def test_any_text_as_suite_gives_a_suite_or_one_sentence(tmp_path: Path, text: str) -> None:
    found = loaded(write_suite(tmp_path, yaml=text.encode("utf-8", "surrogatepass")))
    assert found.prompt_hash if isinstance(found, Suite) else "\n" not in str(found)
