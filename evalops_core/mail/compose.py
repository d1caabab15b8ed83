"""A letter → the mail that is sent.

What belongs here: the one way in. What does not: the subject's words (subject), the body (body, templates), the
pictures (figure, drift_figure).
"""

import base64
from collections.abc import Mapping

from evalops_core.domain.mail import Image, Mail
from evalops_core.mail.body import MOST_ITEMS, body
from evalops_core.mail.facts import DriftItem, Firing, Letter, NoDataItem, RegressionItem, Test
from evalops_core.mail.subject import subject
from evalops_core.mail.untrusted import one_line
from evalops_core.mail.wording import counted, distance, score


def compose(letter: Letter) -> Mail:
    """The mail that says what `letter` holds: the same letter makes the same mail, byte for byte.

    ValueError for a letter without items.
    """
    if not isinstance(letter, Test) and not letter.items:
        raise ValueError("a letter needs at least one item")
    line, drawn = subject(letter), _images(letter)
    html, text = body(letter, line, drawn)
    shown = tuple(image for image in drawn.values() if f'"cid:{image.cid}"' in html)
    return Mail(line, html, text, shown)


def standalone_html(mail: Mail) -> str:
    """The mail's HTML as a file of its own: its images are inside, as `data:` URIs."""
    html = mail.html
    for image in mail.images:
        data = base64.b64encode(image.png).decode("ascii")
        html = html.replace(f'src="cid:{image.cid}"', f'src="data:image/png;base64,{data}"')
    return html


def _images(letter: Letter) -> Mapping[int, Image]:
    if not isinstance(letter, Firing):
        return {}
    first = letter.ordered[:MOST_ITEMS]
    return {item.incident_id: _image(item) for item in first if not isinstance(item, NoDataItem) and item.points}


def _image(item: RegressionItem | DriftItem) -> Image:
    return _of_drift(item) if isinstance(item, DriftItem) else _of_scores(item)


def _of_scores(item: RegressionItem) -> Image:
    from evalops_core.mail.figure import draw  # with numpy and matplotlib

    last = [f"{one_line(point.window, 20)} {score(point.score)}" for point in item.points[-3:]]
    alt = (
        f"Score of {one_line(item.feature, 60)} over {counted(len(item.points), 'run')}, lately {', '.join(last)}; "
        f"baseline {score(item.reference)}, threshold {score(item.reference - item.threshold)}"
    )
    return Image(f"trend-{item.incident_id}", draw(item.points, item.reference, item.threshold), alt)


def _of_drift(item: DriftItem) -> Image:
    from evalops_core.mail.drift_figure import draw  # with numpy and matplotlib

    last = [
        f"{point.day} {'not compared' if point.drift is None else distance(point.drift)}" for point in item.points[-3:]
    ]
    limit = f"; threshold {distance(item.threshold)}" if item.threshold is not None else ""
    alt = (
        f"Input drift of {one_line(item.feature, 60)} over {counted(len(item.points), 'day')}, "
        f"lately {', '.join(last)}{limit}"
    )
    return Image(f"drift-{item.incident_id}", draw(item.points), alt)
