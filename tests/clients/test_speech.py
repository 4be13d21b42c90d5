"""What the clients with and without asyncio have in common, without either."""

from voicebus.bus.messages import Accepted, Attached, Audio, Credit, Rewind, Submit
from voicebus.clients.events import Frame
from voicebus.clients.reading import Reading
from voicebus.clients.speech import SpeechBase

RATE = 1000


def test_credit_is_renewed_after_a_sentence_as_long_as_the_window_came_again() -> None:
    """A listener who has heard all that he may be sent, once more, says so once more; else nothing would ever come."""
    now = 10.0
    reading = Reading("j", now=now, window_s=1.0, submit=Submit(job="j"), text=b"Hello.")
    speech = SpeechBase(reading, lambda do: do(reading, now))

    def come(message, body=b""):
        reading.outbox.clear()
        reading.receive(message, body, now)
        speech._take_over()
        while (event := speech._next_ready()) is not None:
            if isinstance(event, Frame):
                speech._report(event.end)

    come(Accepted(job="j", rate=RATE))
    come(Audio(job="j", take="t1"), bytes(2 * RATE))
    assert [message.up_to for message, _ in reading.outbox] == [2 * RATE]
    reading.resume(now, reborn=True)
    come(Rewind(job="j", take="t1"))
    come(Attached(job="j", rate=RATE))
    come(Audio(job="j", take="t2"), bytes(2 * RATE))
    assert [message.up_to for message, _ in reading.outbox if isinstance(message, Credit)] == [2 * RATE]
