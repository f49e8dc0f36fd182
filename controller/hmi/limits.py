"""Every limit of the screen's server in one place, and the counter that keeps to a rate.

A module because what a stranger on the network may cost the supervisor is decided here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from controller.core.clock import NS_PER_MS, NS_PER_S

BODY_BYTES_MAX = 64 * 1024
BODY_S = 5.0
CLIENTS_MAX = 100
SESSION_FEEDS_MAX = 8  # of one session
LINES_MAX = 400  # connections; the supervisor's files need the rest of its descriptors
LOCAL_LINES_MAX = 250  # from this machine: every browser at the station
ADDRESS_LINES_MAX = 60  # from any other address
HEAD_S = 5.0  # from a connection, or the first part of a head, to the whole head of a request
REQUEST_S = 30.0  # until its answer was taken
REST_S = 20.0  # between two requests
SWEEP_LINES_S = 0.5
HUNG_S = 10.0  # a server that takes no hand-over for so long is said to be lost
SNAPSHOT_NS = 200 * NS_PER_MS  # while somebody looks
IDLE_NS = NS_PER_S  # while nobody does
BEAT_S = 1.0
SESSION_CHECK_S = 5.0
SWEEP_S = 5.0
ANSWER_S = 2.0
CLOSE_S = 1.0
SEND_S = 10.0  # a client that takes nothing for so long is dropped
PING_S = 5.0
COMMANDS_KEPT = 20
ROWS_KEPT = 20_000
ROWS_A_PAGE = 500
ROWS_WAITING = 4_096
POINTS_WAITING = 4_096
HISTORY_TAGS = 16
HISTORY_POINTS = 1_500
STATIC_FILES = 128
STATIC_BYTES = 8 * 1024 * 1024
SIGNATURES_MAX = 2
PRESS_MS_MIN, PRESS_MS_MAX = 1_000, 60_000
LOGINS = (10, 60.0)  # so many in so many seconds, an address
COMMANDS = (10, 1.0)  # a session
STRANGERS = (30, 60.0)  # commands of nobody, an address: each is a record
READS = (40, 1.0)  # a session
LOOKS = (8, 1.0)  # a session: elements of the procedure
PREVIEWS = (3, 1.0)  # a session: what a change would do, checked ahead
HOLDS = (5, 1.0)  # an address; what comes beyond shares one Hold
HOLD_SHARED_S = 0.2  # how long that one waits for others
KEYS_MAX = 4_096


class Rate:
    """At most `count` of one key in any `seconds`; the keys longest unused are forgotten first."""

    def __init__(self, limit: tuple[int, float], wall: Callable[[], float]) -> None:
        """`wall` reads a monotonic clock in s."""
        self._count, self._seconds = limit
        self._wall = wall
        self._seen: OrderedDict[str, list[float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Counts one and says whether it is within the limit; what is beyond is not counted."""
        now = self._wall()
        times = [at for at in self._seen.pop(key, []) if now - at < self._seconds]
        within = len(times) < self._count
        if within:
            times.append(now)
        self._seen[key] = times
        if len(self._seen) > KEYS_MAX:
            self._seen.popitem(last=False)
        return within
