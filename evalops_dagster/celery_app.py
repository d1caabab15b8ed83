"""What a Celery worker is started with: `celery -A evalops_dagster.celery_app worker`.

What belongs here: the app of this process, by its environment and by `dagster.yaml`. What does not: what the app is
(celery_worker). Importing it makes the app, or ends the process with the sentence that says why it cannot be made.
"""

import sys

import dagster as dg
from celery import Celery

from evalops_core.errors import EvalOpsError
from evalops_core.settings import load_settings
from evalops_dagster.celery_worker import make_worker_app
from evalops_dagster.launchers import refuse_embedded_database


def _of_this_process() -> Celery:
    try:
        settings = load_settings()
        refuse_embedded_database("CeleryRunLauncher", settings)  # before Dagster's storage would start one
        with dg.DagsterInstance.get() as instance:
            return make_worker_app(instance.run_launcher, settings)
    except EvalOpsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


app = _of_this_process()
