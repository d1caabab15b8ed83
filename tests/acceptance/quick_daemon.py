"""`dagster-daemon` that looks more often than every 5 s whether a sensor should tick; everything else is as it is.

What belongs here: that. What does not: how often a sensor wants to tick (quick_alerts). It imports nothing of the
project's, because a test that kills it often waits for its start as often.
"""

from dagster._daemon import sensor
from dagster._daemon.cli import main

_LOOK_EVERY_S = 0.25

if __name__ == "__main__":
    sensor.MIN_INTERVAL_LOOP_TIME = _LOOK_EVERY_S
    main()
