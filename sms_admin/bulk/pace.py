"""The pace of a sending: at most so many requests a second, fewer after the platform has said that it is too fast."""

_BURST = 0.05  # s of the rate that may be sent at once
_GROWTH = 1.1  # of a slowed pace, each second
_REST = 1.0  # s without a request after the platform's limit


class Pace:
    """Counts the requests that may go out. All times are of one clock, in seconds."""

    def __init__(self, rate: float, now: float) -> None:
        self._most, self.rate = rate, rate
        self._allowed, self._counted, self._grown = 1.0, now, now

    def take(self, most: int, now: float) -> int:
        """Return the number of requests that may go out now, at most `most`, and count them."""
        if now > self._counted:
            self._allowed = min(self._allowed + (now - self._counted) * self.rate, max(1.0, self.rate * _BURST))
            self._counted = now
        if now - self._grown >= 1:
            self.rate, self._grown = min(self._most, self.rate * _GROWTH), now
        taken = max(0, min(most, int(self._allowed)))
        self._allowed -= taken
        return taken

    def slow_down(self, now: float) -> None:
        """Halve the pace, once a second, after a pause of a second."""
        if now > self._counted - _REST:
            self.rate = max(1.0, self.rate / 2)
            self._allowed, self._counted = 0.0, now + _REST
            self._grown = now + _REST

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may go out."""
        return max(0.0, self._counted - now + max(0.0, 1 - self._allowed) / self.rate)
