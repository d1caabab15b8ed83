"""How many calls an endpoint is given at once, and how soon one after the other.

What belongs here: one endpoint's state, and what each answer does to it. What does not: the clock (instants are
arguments, in seconds of one monotonic clock), waiting and sending (providers), limits that somebody configured.

Additive increase and multiplicative decrease (Chiu & Jain 1989, "Analysis of the Increase and Decrease Algorithms for
Congestion Avoidance in Computer Networks"), with the level that was refused remembered as CUBIC does it (RFC 9438),
because a refusal is dear here: `Retry-After` usually closes the endpoint for a second or more. Many endpoints limit
requests a second and not calls in flight, so there are two levers; `_cut` tells which one a refusal asks for. Some
refuse by chance: where `_came_after` shows it, only the refused call waits, if the next one, sent at once, is answered.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import islice

START = 8  # calls in flight, until the endpoint has shown more
_DECREASE = 0.7  # CUBIC's
_BACK = 0.9  # where only a little more was tried
_NOT_QUITE = 0.95  # of a limit that had been thought accepted: an answer on its way is in flight for us alone
_USED = 0.8  # share of the limit in flight from which on a success says something about the limit
_HOLD = 20  # what a refusal cost (pause and way back up), times this, passes before more is tried: 5 %
_SEEN = 5  # successes with as many in flight as a refused call had: it is not their number then
_RECENT = 16  # successes that are looked at for that
_RATE_TRIES = 3  # cuts of the rate in a row that do not help
_ANSWERED_AFTER = 3  # calls sent after a refused one, with more in flight: it was refused by chance
_CONFIRMED = 3  # refusals in a row after which the next call was refused too: they come by chance no more
_MARGIN = 0.97  # of the rate that was measured between two refusals
_CREDIT_S = 0.1  # by how much a start may be late and the next still be on time: timers are, and loops are busy
_SHORTEST_SPAN_S = 0.5  # a rate is measured over
_BATCH = 32  # calls a median latency is taken of: its standard error is then 0.22 σ of a lognormal's ln
_ENOUGH = 24  # of them: the others take longer than the median
_COLLAPSE = 3.0  # times the best median: beyond what chance does to medians of 32 (σ of ln up to 1)
_IMPROVED = 0.85  # a latency that the cut did not bring below this share was not of our making
_LONGEST_OWN_PAUSE_S = 5.0


@dataclass(slots=True)
class _Batch:
    """Calls that started one after the other, because those that end first are the short ones."""

    at: float
    limit: float
    started: int = 0
    latencies: list[float] = field(default_factory=list[float])


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """One call in flight: when it started, and how many were then, itself included."""

    at: float
    position: int
    batch: _Batch


_NO_CALL = Ticket(math.inf, 0, _Batch(math.inf, 0.0))


class Controller:
    """The pace of one endpoint. Each `started` is followed by exactly one of the methods that take its ticket.

    `limit` is how many calls may be in flight, within 1 … `ceiling`; it starts at `start`, doubles each round trip
    until the first sign of trouble, and grows only while it is used. `rate` is how many may start each second, None
    for any number. `highest` and `refusals` are for a summary.
    """

    def __init__(self, ceiling: int, start: int = START) -> None:
        self.ceiling = max(1, ceiling)
        self.limit = float(min(max(1, start), self.ceiling))
        self.rate: float | None = None
        self.in_flight = self.highest = self.refusals = 0
        self.closed_until = -math.inf
        # refusals come by chance until so many are confirmed; whether a call may start in a pause; the one that did
        self._by_chance, self._may_probe, self._probe = 0, False, _NO_CALL
        self._doubted, self._refused_after, self._answered_after = _NO_CALL, 0, 0  # the call that was cut for
        self._knee: float | None = None  # the limit that was not refused; None before any was
        # whether the last cut was of the limit; what its refusals' positions leave; whether there were several; of the
        # calls in flight when the first one started, those that were not refused
        self._by_number, self._at_most, self._leapt, self._standing = False, math.inf, False, 0
        self._step = 1.0  # growth of the limit in this round trip, beyond the knee
        self._round_at = self._cut_at = self._full_at = self._hold_until = -math.inf
        self._round_trip_s: float | None = None
        # the last successes: when they ended, and their tickets' positions
        self._answered: deque[tuple[float, int]] = deque(maxlen=max(_RECENT, self.ceiling))
        self._tries, self._barren = 0, 1  # in a row: vain cuts of the rate; refused round trips without a success
        self._held: float | None = None  # the rate that was not refused
        self._gain = 0.0  # growth of the rate in this second, beyond `_held`
        self._next_start = self._gain_at = -math.inf
        self._measured_from, self._accepted = math.inf, 0
        self._batch = _Batch(-math.inf, self.limit, _BATCH)
        self._baseline: tuple[float, float] | None = None  # the best median latency, and the limit it was found at
        self._suspect: float | None = None  # the median latency that the limit was cut for

    def opens_at(self) -> float:
        """The instant from which on one more call may start; infinity while as many as may be are in flight."""
        if self.in_flight >= int(self.limit):
            return math.inf
        return self._next_start if self._may_probe else max(self.closed_until, self._next_start)

    def started(self, now: float) -> Ticket:
        """A call is sent."""
        self.in_flight += 1
        self.highest = max(self.highest, self.in_flight)
        self._accepted += 1
        self._measured_from = min(self._measured_from, now)
        if self.rate is not None:
            self.rate *= self._probed(now)
        self._next_start = max(self._next_start, now - _CREDIT_S) + self._gap()
        if self._batch.started == _BATCH:
            self._batch = _Batch(now, self.limit)
        self._batch.started += 1
        if self.in_flight >= _USED * int(self.limit):
            self._full_at = now
        ticket = Ticket(now, self.in_flight, self._batch)
        if self._may_probe:
            self._may_probe, self._probe = False, ticket
        return ticket

    def succeeded(self, ticket: Ticket, now: float) -> None:
        """It was answered."""
        self.in_flight -= 1
        self._came_after(ticket, answered=True)
        if ticket is self._probe:
            self._by_chance = _CONFIRMED if self._by_chance else 0
            self.closed_until, self._probe = now, _NO_CALL
        latency = now - ticket.at
        before = self._round_trip_s
        self._round_trip_s = latency if before is None else before + (latency - before) / 8  # as TCP does (RFC 6298)
        if ticket.at <= self._cut_at:
            return  # of the time before the last cut
        self._barren = 0
        self._answered.append((now, ticket.position))
        if ticket.at >= self._round_at:
            self._round_at = now
            self._step *= 2
        if ticket.at <= self._full_at:  # the limit was used while it was in flight
            self._grow(now)
        self._note_latency(ticket, latency, now)

    def throttled(self, ticket: Ticket, now: float, pause_s: float | None) -> None:
        """It was refused for there being too many (429, 503); `pause_s` as the endpoint asked, None where it did not.

        Nothing starts before the pause is over, but for one call where refusals come by chance or cuts do not help: its
        answer ends the pause. The calls that were in flight when the limit was cut change it no more (one cut a round
        trip), unless one of them shows that the number to stay below is smaller.
        """
        self.in_flight -= 1
        self.refusals += 1
        self._accepted -= ticket.at >= self._measured_from
        self._came_after(ticket, answered=False)
        own = min(self._round_trip_s or 0.1, 1.0) * 2.0 ** min(self._barren, 6)
        pause = min(own, _LONGEST_OWN_PAUSE_S) if pause_s is None else max(pause_s, min(own, 0.1))
        first, known = now >= self.closed_until, ticket.at <= self._cut_at
        if ticket is self._probe:
            known = self._by_chance == 0  # what it was to confirm has been cut for
            self._probe, self._by_chance = _NO_CALL, max(0, self._by_chance - 1)
        if self._by_chance:
            self._may_probe = self._may_probe or first
            self.closed_until = max(self.closed_until, now + pause)
            return
        if known:
            self._standing -= 1
            if self._by_number:
                self._at_most, self._leapt = min(self._at_most, ticket.position - 1), True
                self._lower_knee(_DECREASE)
            self.closed_until = max(self.closed_until, now + (pause_s or 0.0))
            return
        self._barren += 1
        self.closed_until = max(self.closed_until, now + pause)
        self._cut(ticket, now)
        self._may_probe = first and (self._by_chance > 0 or self._tries > 1)
        self._hold_until = now + _HOLD * (pause + (self._round_trip_s or 0.0) / 2)  # which the way back up takes

    def failed(self, ticket: Ticket, now: float, *, slow: bool = False) -> None:
        """It ended in a way that says nothing about how many are too many; `slow`: a timeout, which is a latency."""
        self.in_flight -= 1
        if ticket is self._probe:  # which says nothing: another one
            self._probe, self._may_probe = _NO_CALL, True
        if slow and ticket.at > self._cut_at:
            self._note_latency(ticket, now - ticket.at, now)

    def _came_after(self, ticket: Ticket, *, answered: bool) -> None:
        """A refusal was by chance where calls that came after it were answered, though the endpoint had more then.

        Positions count also those that were refused since, which it has no more. Only calls sent before the refusal was
        known say so: after the pause that it asked for, it may take again what it did not.
        """
        if not self._doubted.at <= ticket.at <= self._cut_at:
            return
        self._refused_after += not answered
        self._answered_after += answered and ticket.position > self._doubted.position + self._refused_after
        if self._answered_after == _ANSWERED_AFTER:
            self._ignore_refusals()
            self.limit = max(self.limit, float(ticket.position))
            self._doubted, self._cut_at, self.closed_until = _NO_CALL, -math.inf, -math.inf

    def _ignore_refusals(self) -> None:
        """They come by chance, and no cut was for a limit."""
        self._knee = self.rate = self._held = None
        self._by_chance, self._tries, self._by_number = _CONFIRMED, 0, False

    def _grow(self, now: float) -> None:
        """By one answered call's part of what a whole round trip adds."""
        knee = self._knee
        if knee is None:
            self.limit += 1  # doubles in a round trip
        elif self.limit < knee:
            self.limit = min(knee, self.limit + max(1.0, knee / 5) / self.limit)
            self._step = 1.0
        elif now >= self._hold_until:
            self.limit += min(self._step / self.limit, 1.0)
        else:
            self._step = 1.0
        self.limit = min(self.limit, float(self.ceiling))

    def _gap(self) -> float:
        """Seconds to the next start: the rate's, and after a refusal at least half of an even spread over a round trip.

        Calls that start together end together, and start together again: a burst that a small bucket refuses.
        """
        spread = 0.5 * (self._round_trip_s or 0.0) / self.limit if self._knee is not None else 0.0
        return spread if self.rate is None else max(spread, 1 / self.rate)

    def _probed(self, now: float) -> float:
        """A little faster each second once the hold is over, as long as the rate is what holds calls back."""
        if now < self._hold_until:
            self._gain = 0.02
        elif now >= self._gain_at and now - self._next_start < _CREDIT_S:
            if self._gain_at <= self._hold_until:
                self._measured_from, self._accepted = now, 1  # what was held does not count for what is tried
            gain, self._gain, self._gain_at = self._gain, min(2 * self._gain, 1.0), now + 1.0
            return 1 + gain
        return 1.0

    def _lower_knee(self, decrease: float) -> None:
        """To what the refusals of this round trip left; a little less where there were several, after a leap."""
        left = min(self._at_most, float(self._standing))
        self._knee = max(1.0, left - round((1 - _NOT_QUITE) * left) if self._leapt else left)
        self.limit = max(1.0, min(self.limit, decrease * self._knee))

    def _cut(self, ticket: Ticket, now: float) -> None:
        """The first refusal of a round trip: less of what it asks for, and then a hold at what was not refused.

        Where as many in flight had not been answered before, it asks for fewer. Where they had, it is a limit on
        requests a second: the starts are spaced by the rate that was accepted between refusals. Where that makes
        refusals no rarer, they come by chance, and all is as before.
        """
        span, position = now - self._measured_from, ticket.position
        rate = _MARGIN * self._accepted / max(span, 1e-3)
        self._standing = self.in_flight + sum(ended_at >= ticket.at for ended_at, _ in self._answered)
        self._by_number = sum(seen >= position for _, seen in islice(reversed(self._answered), _RECENT)) < _SEEN
        if self._by_number:
            old = self._knee or math.inf
            self._at_most, self._leapt = float(position - 1), False
            if position <= old:
                self._at_most = min(self._at_most, _NOT_QUITE * old)
            self._lower_knee(_BACK if old < position <= old + 1 else _DECREASE)
        elif self.rate is not None and self._held is not None and self.rate > 1.01 * self._held:
            self.rate = self._held = max(self._held, rate)
        else:
            self._space(max(rate, 0.05), held_out=now >= self._hold_until)
        if span >= _SHORTEST_SPAN_S or self.refusals <= 1:
            self._measured_from, self._accepted = now, 0
        self._cut_at, self._doubted, self._refused_after, self._answered_after = now, ticket, 0, 0
        while len(self._answered) > _SEEN - 1:  # too few to tell without new ones: the endpoint may have changed
            self._answered.popleft()

    def _space(self, rate: float, *, held_out: bool) -> None:
        """Less of the rate; any rate, as before, where that has not helped: refusals came before a hold was over."""
        self._tries = 1 if held_out else self._tries + 1
        if self._tries <= _RATE_TRIES:
            held = self._held
            self.rate = self._held = rate if held is None else min(max(rate, _DECREASE * held), 0.9 * held)
            return
        self._ignore_refusals()

    def _note_latency(self, ticket: Ticket, latency: float, now: float) -> None:
        """Cut the limit where answers take several times as long as they did with fewer in flight.

        Only more in flight is to blame, so a cut that does not shorten them is taken back: the answers are longer now.
        """
        batch = ticket.batch
        batch.latencies.append(latency)
        if len(batch.latencies) != _ENOUGH or batch.at <= self._cut_at:
            return
        typical = sorted(batch.latencies)[_BATCH // 2]
        best, found_at = self._baseline or (typical, batch.limit)
        if self._suspect is not None and typical > _IMPROVED * self._suspect:
            self._baseline, self._knee = (typical, batch.limit), None
        elif typical <= best:
            self._baseline = math.sqrt(best * typical), batch.limit  # half-way: the smallest of many is a lucky one
        elif typical > _COLLAPSE * best and batch.limit > 1.5 * found_at:
            self._suspect = typical
            self.limit = self._knee = max(found_at, min(self.limit, _DECREASE * batch.limit))
            self._hold_until = now + _HOLD * typical
            self._cut_at, self._by_number, self._doubted = now, False, _NO_CALL
            return
        self._suspect = None
