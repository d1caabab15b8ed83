"""An empty figure, and the PNG of a drawn one.

What belongs here: matplotlib's start and its output, kept from changing anything around it. What does not: what is
drawn (figure). The import takes a second, so it waits until something is drawn; the object interface is used, which
leaves other users of matplotlib in the same process alone.
"""

# matplotlib's annotations leave parts of its functions unknown.
# pyright: reportUnknownMemberType=false

import contextlib
import importlib
import io
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

SCALE = 2  # pixels for each CSS pixel
_PER_INCH = 100  # CSS pixels an inch of the figure
_COLOURS = 96
_DRAWING = threading.RLock()  # matplotlib is not thread-safe


@dataclass(frozen=True, slots=True)
class Canvas:
    """A figure to draw on, and the font for every text on it."""

    figure: "Figure"
    font: "FontProperties"

    def png(self) -> bytes:
        """What was drawn. No date, no version, a palette: the same drawing makes the same bytes."""
        from PIL import Image

        canvas = cast("FigureCanvasAgg", self.figure.canvas)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        # A few flat colours and their edges: nobody sees the palette, and it halves the size.
        picture = picture.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        file = io.BytesIO()
        picture.save(file, "PNG", optimize=True)
        return file.getvalue()


@contextlib.contextmanager
def blank(width: int, height: int) -> Generator[Canvas]:
    """A white canvas of so many CSS pixels; its PNG has `SCALE` times as many. One thread draws at a time."""
    with _DRAWING:
        if "matplotlib.font_manager" not in sys.modules:
            with _without_traces():
                importlib.import_module("matplotlib.font_manager")
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.font_manager import FontProperties

        with matplotlib.rc_context():
            matplotlib.rcdefaults()  # a matplotlibrc of somebody's own changes no mail
            size = (width / _PER_INCH, height / _PER_INCH)
            figure = Figure(figsize=size, dpi=_PER_INCH * SCALE, facecolor="white")
            FigureCanvasAgg(figure)
            # The font that comes with matplotlib, by its file: which fonts a machine has changes no mail.
            font_file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
            yield Canvas(figure, FontProperties(fname=font_file, size=11))


@contextlib.contextmanager
def _without_traces() -> Generator[None]:
    """matplotlib's import makes a folder in the user's home, for which it knows no switch but the environment, and
    warns where it cannot, or where it takes long to look for fonts. The font list costs 0.3 s and is not kept."""
    folder = tempfile.mkdtemp(prefix="evalops-figure-")
    loggers = [logging.getLogger(name) for name in ("matplotlib", "matplotlib.font_manager")]
    were_disabled = [logger.disabled for logger in loggers]
    chosen = "MPLCONFIGDIR" in os.environ
    try:
        if not chosen:
            os.environ["MPLCONFIGDIR"] = folder
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, was_disabled in zip(loggers, were_disabled, strict=True):
            logger.disabled = was_disabled
        if not chosen:
            del os.environ["MPLCONFIGDIR"]
        shutil.rmtree(folder, ignore_errors=True)
