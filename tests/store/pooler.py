"""A connection pooler in transaction mode, as small as it can be: its clients' transactions take turns in its sessions.

It speaks as much of PostgreSQL's protocol (version 3, simple queries, everything as text) as the driver asks of it.
"""

import queue
import socket
import struct
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress

import psycopg2
import psycopg2.extensions
from pydantic import SecretStr
from sqlalchemy import make_url

_SSL, _GSS = 80877103, 80877104


@contextmanager
def transaction_pooler(url: SecretStr, sessions: int = 2) -> Generator[SecretStr]:
    """Its URL, for any number of clients, over `sessions` sessions with the database of `url`.

    With one session it is as a pooler that nobody else uses: each statement finds the same one free.
    """
    real = make_url(url.get_secret_value())
    dsn = real.set(drivername="postgresql").render_as_string(hide_password=False)
    pool = [psycopg2.connect(dsn) for _ in range(sessions)]
    for session in pool:
        session.autocommit = True
    free: queue.SimpleQueue[psycopg2.extensions.connection] = queue.SimpleQueue()
    for session in pool:
        free.put(session)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def attend(client: socket.socket) -> None:
            with closing(client), suppress(ConnectionError, psycopg2.InterfaceError):  # one of both has ended
                _serve(client, free)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=attend, args=(client,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        yield SecretStr(real.set(host="127.0.0.1", port=port).render_as_string(hide_password=False))
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(30)
    for session in pool:
        session.close()


def _serve(client: socket.socket, free: "queue.SimpleQueue[psycopg2.extensions.connection]") -> None:
    while struct.unpack("!I", _exactly(client, struct.unpack("!I", _exactly(client, 4))[0] - 4)[:4])[0] in (_SSL, _GSS):
        client.sendall(b"N")
    settings = {"server_version": "16.0", "client_encoding": "UTF8", "standard_conforming_strings": "on"}
    said = b"".join(_message(b"S", f"{name}\0{value}\0".encode()) for name, value in settings.items())
    client.sendall(_message(b"R", struct.pack("!I", 0)) + said + _message(b"Z", b"I"))
    mine: list[psycopg2.extensions.connection] = []
    try:
        while (kind := _exactly(client, 1)) != b"X":
            body = _exactly(client, struct.unpack("!I", _exactly(client, 4))[0] - 4)
            assert kind == b"Q", kind
            session = mine.pop() if mine else free.get()
            answer = _answer(session, body.rstrip(b"\0").decode())
            idle = session.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
            free.put(session) if idle else mine.append(session)
            client.sendall(answer + _message(b"Z", b"I" if idle else b"T"))
    finally:
        for session in mine:
            _answer(session, "ROLLBACK")
            free.put(session)


def _answer(session: psycopg2.extensions.connection, statement: str) -> bytes:
    with session.cursor() as cursor:
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            return _message(
                b"E", b"SERROR\0C" + (error.pgcode or "XX000").encode() + b"\0M" + str(error).encode() + b"\0\0"
            )
        if cursor.description is None:
            return _message(b"C", b"SET\0")
        columns = [
            column.name.encode() + b"\0" + struct.pack("!IHIhiH", 0, 0, column.type_code, -1, -1, 0)
            for column in cursor.description
        ]
        rows = [b"".join(_value(value) for value in row) for row in cursor.fetchall()]
        count = struct.pack("!H", len(columns))
        answers = [_message(b"T", count + b"".join(columns)), *(_message(b"D", count + row) for row in rows)]
        return b"".join(answers) + _message(b"C", b"SELECT\0")


def _value(value: object) -> bytes:
    if value is None:
        return struct.pack("!i", -1)
    spelled = ("t" if value else "f") if isinstance(value, bool) else str(value)
    return struct.pack("!i", len(spelled.encode())) + spelled.encode()


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _exactly(client: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        part = client.recv(count - len(read))
        if not part:
            raise ConnectionResetError
        read += part
    return read
