"""A case's reference as the texts that an answer may be compared with.

What belongs here: which shapes of reference a text scorer can use. What does not: comparing.
"""

import json
from collections.abc import Mapping, Sequence

from evalops_core.domain.json import Json
from evalops_core.domain.score import Unscored


def reference_texts(reference: Json) -> tuple[str, ...] | Unscored:
    """Each accepted answer as text, at least one: a string as it is, a number or boolean as JSON spells it.

    A list is a choice of those. Anything else cannot be compared as text.
    """
    if reference is None:
        return Unscored("the case has no reference")
    options = reference if isinstance(reference, Sequence) and not isinstance(reference, str) else [reference]
    if not options:
        return Unscored("the reference is an empty list")
    texts: list[str] = []
    for option in options:
        if option is None or (isinstance(option, Mapping | Sequence) and not isinstance(option, str)):
            return Unscored("the reference is not a text, a number or a list of those; use json_fields or a judge")
        texts.append(option if isinstance(option, str) else json.dumps(option))
    return tuple(texts)
