"""Which parts of a file are there, which are being fetched, and which are up for taking."""

from __future__ import annotations

import threading
from collections.abc import Iterable

SMALLEST = 4 * 2**20
LARGEST = 16 * 2**20
STEAL = 2**20
"""A segment with less than twice this left is not worth splitting."""

Span = tuple[int, int]


class Segment:
    """Bytes ``start:stop``, of which those before `position` are written."""

    __slots__ = ("failures", "position", "start", "stop", "taken")

    def __init__(self, start: int, stop: int, position: int | None = None) -> None:
        self.start = start
        self.stop = stop
        self.position = start if position is None else position
        self.taken = False
        self.failures = 0

    @property
    def left(self) -> int:
        return self.stop - self.position


class Board:
    """The segments of a file, in order, shared by its workers. Every method takes the lock."""

    def __init__(self, hashed: int, islands: Iterable[Span], total: int, workers: int) -> None:
        self.total = total
        self.closed = False
        self.error: BaseException | None = None
        self.changed = threading.Condition()
        self._segments = _laid_out(hashed, islands, total, workers)
        self._front = 0
        """Segments before this one are finished."""
        self._done = hashed + sum(segment.position - segment.start for segment in self._segments)
        self._hashed = hashed

    def claim(self) -> Segment | None:
        """The first free segment, else half of the largest one at work; None when all is taken."""
        with self.changed:
            if self.closed:
                return None
            for segment in self._ahead():
                if not segment.taken and segment.left:
                    segment.taken = True
                    return segment
            return self._stolen()

    def _ahead(self) -> list[Segment]:
        while self._front < len(self._segments) and not self._segments[self._front].left:
            self._front += 1
        return self._segments[self._front :]

    def _stolen(self) -> Segment | None:
        victim = max(self._ahead(), key=lambda segment: segment.left, default=None)
        if victim is None or victim.left < 2 * STEAL:
            return None
        middle = victim.stop - victim.left // 2
        half = Segment(middle, victim.stop)
        half.taken = True
        victim.stop = middle
        self._segments.insert(self._segments.index(victim) + 1, half)
        return half

    def advance(self, segment: Segment, count: int) -> bool:
        """Note bytes that were written at the segment's position; whether it wants more.

        What lies behind a stop that was moved by a thief was written in vain.
        """
        with self.changed:
            count = min(segment.left, count)
            segment.position += count
            self._done += count
            self.changed.notify_all()
            return segment.left > 0 and not self.closed

    def give_back(self, segment: Segment, error: BaseException) -> None:
        """A worker failed on `segment`; another may go on from its position."""
        with self.changed:
            segment.taken = False
            self.error = error

    def close(self, error: BaseException | None = None) -> None:
        """No segment is claimed any more, and workers stop."""
        with self.changed:
            self.closed = True
            self.error = error or self.error
            self.changed.notify_all()

    def frontier(self) -> int:
        """How far the file is there from its start."""
        ahead = self._ahead()
        return ahead[0].position if ahead else max(self.total, self._hashed)

    def done(self) -> int:
        """Bytes that are there, in all."""
        return self._done

    def islands(self) -> list[Span]:
        """The parts that are there behind the frontier."""
        with self.changed:
            return [(s.start, s.position) for s in self._ahead()[1:] if s.position > s.start]


def _laid_out(hashed: int, islands: Iterable[Span], total: int, workers: int) -> list[Segment]:
    """Free segments for the gaps, finished ones for the islands, in order."""
    # One for each worker where that is not too large: each segment costs a round trip.
    size = min(LARGEST, max(SMALLEST, -(-(total - hashed) // workers)))
    segments: list[Segment] = []
    at = hashed
    for start, stop in [*sorted(islands), (total, total)]:
        segments += [Segment(begin, min(begin + size, start)) for begin in range(at, start, size)]
        if stop > max(start, at):
            segments.append(Segment(start, stop, stop))
        at = max(at, stop)
    return segments
