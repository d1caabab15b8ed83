import platform
import sys
from pathlib import Path

import pytest

from evalops_core.errors import ConfigError
from evalops_core.providers.local_model.runtime import fingerprint, require_machine


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="only there a processor may lack AVX2"
)
def test_a_processor_without_avx2_is_refused_in_a_sentence(tmp_path: Path) -> None:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text("processor\t: 0\nflags\t\t: fpu sse2 avx\n")
    with pytest.raises(ConfigError, match="AVX2"):
        require_machine(cpu_info)
    cpu_info.write_text("processor\t: 0\nflags\t\t: fpu sse2 avx avx2\n")
    require_machine(cpu_info)


def test_the_fingerprint_is_the_same_every_time() -> None:
    assert fingerprint() == fingerprint()
    assert fingerprint().startswith("local-")
