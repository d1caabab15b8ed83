"""Where the metrics of a deployment are read.

What belongs here: which database and which gates, and in which state they are. What does not: what is made of it
(run.metrics).
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pydantic import SecretStr
from sqlalchemy import Engine

from evalops_core.errors import DatabaseError
from evalops_core.run.metrics import Facts, GateState
from evalops_core.settings import Settings
from evalops_core.store.engine import make_engine
from evalops_core.store.gate import Holder
from evalops_core.store.metrics import holders, store_state
from evalops_core.store.schema import current, head
from evalops_core.wiring.database import embedded_server

GATES = ("evalops", "evalops drift")


class MetricsSource:
    """The facts behind the metrics, read anew each time; from any thread.

    It starts no embedded server: whoever watches a system must not be what keeps it alive. `gates` are the names of
    those to look at.
    """

    def __init__(self, settings: Settings, gates: Sequence[str] = GATES) -> None:
        self._settings, self._gates = settings, gates
        self._engine: Engine | None = None
        self._url: SecretStr | None = None
        self._choosing = threading.Lock()

    def read(self) -> Facts:
        """DatabaseError where the database cannot be read; facts without a state where its schema is another one."""
        url = self.url()
        engine = self._connected(url)
        revision, needed = current(engine), head()
        if revision != needed:
            return Facts(revision=revision, needed=needed)
        state = store_state(engine)
        held: Mapping[str, Holder | None] = {}
        with suppress(DatabaseError):  # the way to the lock may be closed, where that to the store is not
            held = holders(self._settings.lock_database_url or url, self._gates)
        gates = {name: GateState(holder is not None, holder and holder.since) for name, holder in held.items()}
        return Facts(revision=revision, needed=needed, store=state, gates=gates)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    def url(self) -> SecretStr:
        """The store's; an embedded server may have another port each time that it is started. DatabaseError without."""
        url = self._settings.database_url or embedded_server(self._settings).url()
        if url is None:
            raise DatabaseError("the embedded PostgreSQL is not running; `evalops dev` starts it")
        return url

    def _connected(self, url: SecretStr) -> Engine:
        with self._choosing:
            if self._engine is None or self._url != url:
                self.close()
                self._engine = make_engine(
                    url, pool_size=2, max_overflow=0, pool_timeout=5, connect_args={"connect_timeout": 5}
                )
                self._url = url
            return self._engine
