import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.mail import Image, Mail

IMAGES = st.builds(Image, st.text(), st.binary(), st.text())
MAILS = st.builds(Mail, st.text(), st.text(), st.text(), st.lists(IMAGES).map(tuple))


@given(MAILS)
def test_a_stored_mail_is_the_same_mail_to_the_byte(mail: Mail) -> None:
    assert Mail.from_json(json.loads(json.dumps(mail.as_json()))) == mail


@pytest.mark.parametrize("part", ["subject", "html", "text", "images"])
def test_a_stored_mail_without_a_part_is_refused(part: str) -> None:
    stored = {name: value for name, value in Mail("s", "h", "t").as_json().items() if name != part}
    with pytest.raises(ValueError, match=part):
        Mail.from_json(stored)


@pytest.mark.parametrize("image", [None, {}, {"cid": "a", "alt": "b", "png": 1}, {"cid": "a", "alt": "b", "png": "%"}])
def test_a_stored_image_that_is_none_is_refused(image: object) -> None:
    with pytest.raises(ValueError, match="png"):
        Mail.from_json({"subject": "s", "html": "h", "text": "t", "images": [image]})
