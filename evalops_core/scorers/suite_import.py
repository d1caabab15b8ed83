"""Importing a suite's own Python code.

What belongs here: making a suite's folder importable for one import, and only for that. What does not: calling what
was imported (python).
"""

import hashlib
import importlib
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_ONE_AT_A_TIME = threading.RLock()


class _FolderFinder(MetaPathFinder):
    """Finds top-level modules of one folder, for imports of one thread alone: others must not see the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._thread = str(folder), threading.get_ident()
        self.found: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or threading.get_ident() != self._thread:
            return None
        spec = PathFinder.find_spec(fullname, [self._folder], target)
        if spec is None or spec.loader is None:  # a folder of data is no package
            return None
        self.found.add(fullname)
        return spec


def import_module(name: str, folder: Path) -> tuple[ModuleType, str]:
    """The module, looked for in `folder` first, and a content hash of it and of what it imported from `folder`.

    Neither `sys.path` nor `sys.modules` keeps anything of the folder: two suites may both have a `scoring.py`. So
    such a module does its imports from the folder at its top, not within functions. Raises what the import raises.
    """
    with _ONE_AT_A_TIME, _importable(folder.absolute(), name.partition(".")[0]) as finder:
        module = importlib.import_module(name)
        return module, _code_hash({name: module, **_loaded(finder.found)})


@contextmanager
def _importable(folder: Path, top: str) -> Generator[_FolderFinder, None, None]:
    finder = _FolderFinder(folder)
    importlib.invalidate_caches()
    aside = _loaded({top}) if finder.find_spec(top, None) else {}
    for name in aside:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield finder
    finally:
        sys.meta_path.remove(finder)
        for name in _loaded(finder.found):
            del sys.modules[name]
        sys.modules.update(aside)


def _loaded(tops: set[str]) -> dict[str, ModuleType]:
    """The modules in `sys.modules` with these top-level names, by their full names."""
    return {name: module for name, module in list(sys.modules.items()) if name.partition(".")[0] in tops}


def _code_hash(modules: dict[str, ModuleType]) -> str:
    digest = hashlib.sha256()
    for name in sorted(modules):
        file = getattr(modules[name], "__file__", None)
        digest.update(f"{name}\0".encode())
        digest.update(Path(file).read_bytes() if isinstance(file, str) else b"")
    return digest.hexdigest()[:16]
