"""Secrets by file: what is taken from a folder, what goes first, and what is said about a file that cannot be used."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from evalops_core.errors import ConfigError
from evalops_core.settings import Settings, load_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Mounted as Kubernetes does it: each file is a link into a folder of the day, which `..data` links to."""
    folder = tmp_path / "secrets"
    (folder / "..2026_11_25").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026_11_25")
    monkeypatch.setenv("EVALOPS_SECRETS_DIR", str(folder))
    return folder


def mount(folder: Path, name: str, value: str) -> None:
    (folder / "..data" / name).write_text(value)
    (folder / name).symlink_to(Path("..data") / name)


def test_every_secret_of_the_settings_may_come_from_a_file(folder: Path) -> None:
    names = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    assert len(names) >= 6
    for name in names:
        mount(folder, f"EVALOPS_{name.upper()}", f"value of {name}\n")
    settings = load_settings()
    assert {name: getattr(settings, name).get_secret_value() for name in names} == {
        name: f"value of {name}" for name in names
    }
    assert "value of" not in str(settings)


def test_the_keys_of_others_may_come_from_files_too(folder: Path) -> None:
    mount(folder, "OPENAI_API_KEY", "sk-openai\n")
    mount(folder, "resend_api_key", "re_key")
    mount(folder, "GATEWAY_KEY", "of the suite's own variable")
    settings = load_settings()
    assert settings.api_key(None) == SecretStr("sk-openai")
    assert settings.mail_key() == SecretStr("re_key")
    assert settings.api_key("GATEWAY_KEY") == SecretStr("of the suite's own variable")
    assert settings.api_key("ANOTHER_KEY") is None


def test_a_variable_goes_before_its_file_and_an_empty_file_counts_as_absent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(folder, "EVALOPS_JUDGE_API_KEY", "of the file")
    mount(folder, "EVALOPS_MODEL_API_KEY", "\n")
    mount(folder, "OPENAI_API_KEY", "of the file")
    monkeypatch.setenv("EVALOPS_JUDGE_API_KEY", "of the variable")
    monkeypatch.setenv("OPENAI_API_KEY", "of the variable")
    settings = load_settings()
    assert settings.judge_api_key == settings.api_key(None) == SecretStr("of the variable")
    assert settings.model_api_key is None


def test_a_value_that_cannot_be_used_is_named_by_its_variable_and_not_repeated(folder: Path) -> None:
    mount(folder, "EVALOPS_RATE_LIMITS", "sk-pasted-into-the-wrong-file")
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert str(refused.value) == "EVALOPS_RATE_LIMITS: expected JSON; correct or unset the variable"


def test_a_folder_that_is_not_there_is_an_error_and_not_a_deployment_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALOPS_SECRETS_DIR", str(tmp_path / "secrets"))
    with pytest.raises(ConfigError, match=r"^EVALOPS_SECRETS_DIR: .*/secrets does not exist; create it or unset"):
        load_settings()
    (tmp_path / "secrets").write_text("a file")
    with pytest.raises(ConfigError, match=r"^EVALOPS_SECRETS_DIR: .*/secrets cannot be listed \(Not a directory\)"):
        load_settings()


def test_a_file_that_cannot_be_used_is_named_and_its_content_is_not(folder: Path, tmp_path: Path) -> None:
    file = folder / "EVALOPS_JUDGE_API_KEY"
    outside = tmp_path / "outside"
    outside.write_text("secret of another")
    file.symlink_to(outside)
    assert _refusal() == f"{file}: leads out of {folder}; put the file itself there"
    file.unlink()
    file.mkdir()
    assert _refusal() == f"{file}: is not a regular file; a secret is one file with its value"
    file.rmdir()
    file.write_bytes(b"sk-\xff\xfe")
    assert _refusal() == f"{file}: is not UTF-8; a secret is one file with its value as text"
    file.write_text("k" * 100_001)
    assert _refusal() == f"{file}: has more than 100000 bytes; a secret is one file with its value"


@pytest.mark.parametrize(
    "name", ["JUDGE_BASE_URL", "MODEL_BASE_URL", "EMBEDDING_BASE_URL", "RESEND_BASE_URL", "UI_URL"]
)
def test_an_address_with_credentials_is_refused_without_repeating_them(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"EVALOPS_{name}", "https://user:hunter2@gateway.example/v1")
    assert _refusal() == (
        f"EVALOPS_{name}: Value error, expected an address without credentials; a key has a variable of its own; "
        "correct or unset the variable"
    )


def test_a_file_of_another_user_s_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "EVALOPS_JUDGE_API_KEY").write_text("sk-1")

    def refuse(_: Path, encoding: str) -> str:  # root, as whom tests may run, may read every file
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert _refusal().endswith(
        "EVALOPS_JUDGE_API_KEY: cannot be read (Permission denied); let the user of this process read it"
    )


def _refusal() -> str:
    with pytest.raises(ConfigError) as refused:
        load_settings()
    return str(refused.value)
