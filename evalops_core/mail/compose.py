"""A letter → the mail that is sent.

What belongs here: the one way in. What does not: the subject's words (subject), the body (body, templates), the
picture (figure).
"""

import base64
from collections.abc import Mapping

from evalops_core.domain.mail import Image, Mail
from evalops_core.mail.body import MOST_ITEMS, body
from evalops_core.mail.facts import Firing, Letter, RegressionItem, Test
from evalops_core.mail.subject import subject
from evalops_core.mail.untrusted import one_line
from evalops_core.mail.wording import counted, score


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
    return {item.incident_id: _image(item) for item in letter.regressions[:MOST_ITEMS] if item.points}


def _image(item: RegressionItem) -> Image:
    from evalops_core.mail.figure import draw  # with numpy and matplotlib

    last = [f"{one_line(point.window, 20)} {score(point.score)}" for point in item.points[-3:]]
    alt = (
        f"Score of {one_line(item.feature, 60)} over {counted(len(item.points), 'run')}, lately {', '.join(last)}; "
        f"baseline {score(item.reference)}, threshold {score(item.reference - item.threshold)}"
    )
    return Image(f"trend-{item.incident_id}", draw(item.points, item.reference, item.threshold), alt)
