"""The demo's own deployment, and the regression that it really causes.

What belongs here: its folder, the change for the worse, and waiting for what the sensors make of it. What does not:
launching (demo), what runs (stack).

The demo works in a folder of its own below EVALOPS_HOME, one a day: what it breaks on purpose must neither enter
anybody's trend nor mail anybody's team.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from evalops_core.errors import ConfigError, EvalOpsError

if TYPE_CHECKING:
    from evalops_core.run.detect import Judged
    from evalops_core.settings import Settings
    from evalops_core.wiring import Suites, Workshop

FEATURE = "explain"
WHAT = "its prompt forgets the sentence that the word stands in"
_FORGOTTEN = "      {{ sentence }}\n"
_VERDICT_WITHIN_S = 180.0
_LOOK_EVERY_S = 0.5
_NOT_THE_DEMO_S = (
    "EVALOPS_SECRETS_DIR",  # what follows may stand there
    "EVALOPS_DATABASE_URL",
    "EVALOPS_DAGSTER_DATABASE_URL",
    "EVALOPS_ALERT_TO",
    "EVALOPS_RESEND_API_KEY",
    "RESEND_API_KEY",
)


@dataclass(frozen=True, slots=True)
class Ground:
    """The demo's deployment. `suites` is its own copy of the shipped ones; None where it evaluates somebody's own, of
    which nothing is changed."""

    settings: "Settings"
    suites: Path | None


def prepare(now: datetime) -> Ground:
    """Turns this process and those that it starts to the folder of today's demo; those of other days are removed."""
    from evalops_core.settings import SHIPPED_SUITES, load_settings

    settings = load_settings()
    home = settings.home / "demo" / f"{now:%Y-%m-%d}"
    _remove_others(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        _share_models(settings.home, home)
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be used ({error.strerror}); set it to a folder that you can write to", key="EVALOPS_HOME"
        ) from None
    for name in _NOT_THE_DEMO_S:
        os.environ.pop(name, None)
    os.environ["EVALOPS_HOME"] = str(home)
    os.environ["EVALOPS_ALLOW_PAST_WINDOWS"] = "true"
    os.environ["EVALOPS_WINDOWS_SINCE"] = (now - timedelta(days=1)).replace(hour=0, minute=0, second=0).isoformat()
    suites = None
    if settings.suites == (SHIPPED_SUITES,):
        suites = home / "suites"
        if not suites.exists():
            shutil.copytree(SHIPPED_SUITES, suites.with_suffix(".new"), dirs_exist_ok=True)
            suites.with_suffix(".new").rename(suites)
        os.environ["EVALOPS_SUITES"] = str(suites)
    return Ground(load_settings(), suites)


def make_worse(suites: Path) -> bool:
    """Takes the sentence out of the prompt, as an editor's slip would; False where that was done before."""
    file = suites / FEATURE / "suite.yaml"
    written = file.read_text(encoding="utf-8")
    if written.count(_FORGOTTEN) == 0:
        return False
    file.write_text(written.replace(_FORGOTTEN, ""), encoding="utf-8")
    return True


def await_verdict(workshop: "Workshop", eval_run_id: int, ensure_alive: Callable[[], None]) -> "Judged":
    """The verdict on that run, once `regression_sensor` has given it. EvalOpsError where it does not come."""
    from evalops_core.run.detect import standing_verdict

    deadline = time.monotonic() + _VERDICT_WITHIN_S
    while time.monotonic() < deadline:
        judged = standing_verdict(workshop.engine, FEATURE)
        if judged is not None and judged.eval_run_id == eval_run_id:
            return judged
        ensure_alive()
        time.sleep(_LOOK_EVERY_S)
    raise EvalOpsError(f"regression_sensor gave no verdict within {_VERDICT_WITHIN_S:.0f} s; see the daemon's log")


def write_mail(workshop: "Workshop", incident_id: int, ui_url: str, file: Path) -> Path | None:
    """The mail of the incident as an HTML file of its own; None where there is none."""
    from evalops_core.mail.compose import standalone_html
    from evalops_core.run.deliver import mail_of
    from evalops_core.wiring import alert_rules, read_suites

    outbox = workshop.outbox()
    messages = outbox.listed(incident_id=incident_id)
    if not messages:
        return None
    settings = workshop.settings.model_copy(update={"ui_url": workshop.settings.ui_url or ui_url})
    rules = alert_rules(settings, read_suites(settings).usable)
    mail = mail_of(messages[-1], outbox, workshop.engine, rules, workshop.tools.now())
    if mail is None:
        return None
    file.write_text(standalone_html(mail), encoding="utf-8")
    return file


def write_report(workshop: "Workshop", suites: "Suites") -> Path:
    """What `evalops report` makes of the demo's deployment, in its folder."""
    from evalops_core.trend.report import Sources, collect, known_features, page
    from evalops_dagster.cli.output_file import write_whole

    sources = Sources(workshop.engine, suites.usable, suites.broken)
    facts = collect(sources, features=known_features(sources), limit=60, now=workshop.tools.now())
    file = workshop.settings.home / "report.html"
    write_whole(file, page(facts).encode("utf-8", "replace"))
    return file


def _share_models(of: Path, home: Path) -> None:
    """The models' files are large, and the same."""
    files = of / "models"
    files.mkdir(parents=True, exist_ok=True)
    if not (home / "models").exists():
        (home / "models").symlink_to(files)


def _remove_others(today: Path) -> None:
    from evalops_core.settings import load_settings
    from evalops_core.wiring import embedded_server, model_server

    if not today.parent.is_dir():
        return
    for other in today.parent.iterdir():
        if other != today and other.is_dir():
            settings = load_settings(home=other)
            model_server(settings).stop()
            embedded_server(settings).stop()
            shutil.rmtree(other, ignore_errors=True)
