"""A signal is remembered; its echo is ignored; a later one kills."""

import signal

import pytest
from lgn_training.engine.loop import StopSignals


@pytest.fixture
def signals():
    signal_handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts programs in the background without it
    yield StopSignals()
    for number, handler in signal_handlers.items():
        signal.signal(number, handler)


def test_the_launcher_s_copy_of_a_signal_does_not_kill(signals):
    """torchrun passes Ctrl-C on to processes that have received it from the terminal."""
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(number)
    assert signals.received == signal.SIGINT


def test_a_later_signal_kills(signals, monkeypatch):
    signal.raise_signal(signal.SIGINT)
    monkeypatch.setattr(StopSignals, "ECHO", 0.0)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
