"""`python -m tests.mock_resend --port 0 [--fault reset_after …]`: serves until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import signal
import sys
from dataclasses import fields

from aiohttp import web

from tests.mock_resend.server import Mock
from tests.mock_resend.settings import Behaviour


async def serve(host: str, port: int, behaviour: Behaviour, *, until_stdin_closes: bool) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    runner = web.AppRunner(Mock(behaviour).app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:  # whoever started this holds the other end, and a killed one closes it too
        loop.add_reader(sys.stdin.fileno(), stop.set)
    print(runner.addresses[0][1], flush=True)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--until-stdin-closes", action="store_true")
    for item in fields(Behaviour):
        parser.add_argument("--" + item.name.replace("_", "-"), default=item.default)
    flags = vars(parser.parse_args())
    host, port, until_stdin_closes = flags.pop("host"), flags.pop("port"), flags.pop("until_stdin_closes")
    asyncio.run(serve(host, port, Behaviour().changed(flags), until_stdin_closes=until_stdin_closes))


if __name__ == "__main__":
    main()
