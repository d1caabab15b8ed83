"""A new suite's folder, small and working, for its author to change.

What belongs here: what `evalops suites new` writes, and writing it whole or not at all. What does not: the suites that
EvalOps ships.
"""

import os
import secrets
import shutil
from pathlib import Path

from evalops_core.errors import ConfigError
from evalops_core.suites.file_model import NAME, NAME_RULE
from evalops_core.suites.loader import CASES_FILE, SUITE_FILE

_SUITE = """\
# What this feature does, what asks it, and what a good answer is. `evalops suites check PATH` says what is wrong here.
# For completion in your editor: evalops suites schema -o suite.schema.json, then name that file in a first line like
# yaml-language-server: $schema=suite.schema.json
description: Answers a question about a place in one sentence.
# owner: team:geography          # or an e-mail address

# model:                         # without it the settings decide: EVALOPS_MODEL, else the embedded model
#   name: gpt-4.1-mini
#   base_url: https://api.openai.com/v1
#   api_key_env: OPENAI_API_KEY
#   parameters: {temperature: 0, max_tokens: 120}

prompt: # Jinja2 templates over each case's `input`; a field that a case lacks is an error
  - role: system
    content: You answer questions about places in one short sentence.
  - role: user
    content: "{{ question }}"

scorers:
  - type: judge # a model scores each axis 1–5, once EVALOPS_JUDGE_MODEL is set
    rubric:
      instructions: The answer goes to a school child.
      axes:
        - name: accuracy
          description: 5 means that it says what the reference says; 1 means that it contradicts it.
          weight: 2
        - name: brevity
          description: 5 means one short sentence; 1 means rambling.
    fallback: # scores while no judge is configured
      - type: contains # the reference must stand in the answer

repeats: 1 # how many times each case is asked
interval: 24 # hours between scheduled runs: 1, 2, 3, 4, 6, 8, 12, 24 or 168
# daily_budget_usd: 1.50         # soft cap of the judge's spend
# hard_cap_usd: 2.00             # what one eval run may spend at most

regression:
  drop: 0.5 # a fall by this much on the 1–5 scale counts
  min_coverage: 0.95 # share of the cases that must be scored

drift: # of what users ask, once traces come in
  threshold: auto # learned from the feature's own traffic

# alerts: # who is told; EVALOPS_ALERT_TO without it
#   to: [team@example.com]
"""

_CASES = """\
{"id": "capital-of-kenya", "input": {"question": "What is the capital of Kenya?"}, "reference": "Nairobi"}
{"id": "river-through-vienna", "input": {"question": "Which large river flows through Vienna?"}, "reference": "Danube"}
{"id": "sea-north-of-egypt", "input": {"question": "Which sea lies north of Egypt?"}, "reference": "Mediterranean"}
{"id": "continent-of-peru", "input": {"question": "On which continent is Peru?"}, "reference": "South America"}
"""


def create_suite(name: str, into: Path) -> Path:
    """The new folder `into / name`. ConfigError for a bad name, and for one that is taken: nothing is overwritten."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"a feature is named by {NAME_RULE}; {name[:80]!r} is not")
    folder = into / name
    if os.path.lexists(folder):
        raise ConfigError("exists already; choose another name, or another folder by --into", file=folder)
    draft = into / f".{name}-{secrets.token_hex(4)}"
    try:
        into.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        (draft / SUITE_FILE).write_text(_SUITE, encoding="utf-8")
        (draft / CASES_FILE).write_text(_CASES, encoding="utf-8")
        draft.rename(folder)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror or error}", file=folder) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
