"""Secrets as files: a folder with one file a variable, as Docker and Kubernetes mount them.

What belongs here: which file holds a variable's value, and what is wrong with one. What does not: which variables there
are, and which folder (settings). A file is named like its variable, in capitals or not.
"""

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import SecretsSettingsSource

from evalops_core.errors import ConfigError

VARIABLE = "EVALOPS_SECRETS_DIR"
_PREFIX = "EVALOPS_"
_LARGEST = 100_000  # bytes; a password or a key has some hundred


class SecretFiles(SecretsSettingsSource):
    """pydantic-settings' own source, for which an empty file counts as absent, as an empty variable does."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        return value or None, key, is_complex


def check_secrets(folder: Path) -> None:
    """ConfigError for a folder that is not there, and for a file of a setting in it that the source would leave out.

    The source itself only warns of those, and a deployment without its password would then say something else.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.name.upper().startswith(_PREFIX))
    except FileNotFoundError:
        raise ConfigError(f"{folder} does not exist; create it or unset the variable", key=VARIABLE) from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be listed ({error.strerror}); name a folder", key=VARIABLE) from None
    for file in files:
        _read(file, folder)


def secret_in(folder: Path, variable: str) -> str:
    """What the variable's file holds, blanks around it removed; empty where there is none."""
    file = SecretFiles.find_case_path(folder, variable, case_sensitive=False)
    return "" if file is None else _read(file, folder)


def _read(file: Path, folder: Path) -> str:
    """ConfigError never repeats what stands in the file."""
    try:
        if not file.is_file():
            raise ConfigError("is not a regular file; a secret is one file with its value", file=file)
        if not file.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"leads out of {folder}; put the file itself there", file=file)
        if file.stat().st_size > _LARGEST:
            raise ConfigError(f"has more than {_LARGEST} bytes; a secret is one file with its value", file=file)
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); let the user of this process read it"
        raise ConfigError(problem, file=file) from None
    except ValueError:
        raise ConfigError("is not UTF-8; a secret is one file with its value as text", file=file) from None
