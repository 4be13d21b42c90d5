"""The speaking worker is killed in the middle of a sentence."""

from __future__ import annotations

from .listening import TONE, Heard, exact, killing, plausible, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, factor = 0.2, salt = "{{pid}}" }}
[defaults]
chain = ["tone"]
"""
TEXT = sentences(1)
LONG = "When the harbour was still asleep, " + "and the gulls had not begun to quarrel over the nets, " * 8 + "he left."


def test_a_spare_says_the_sentence_again(service, client):
    """A sentence whose worker was killed is taken back, and comes whole from the other worker; both facts are told."""
    pids = {row["pid"] for row in service.ready(client, "tone", 2)}
    heard = Heard(client.speak(TEXT, provider="tone"))
    on_event, killed = killing(heard, lambda: service.busy(client, "tone"))
    heard.listen(on_event)
    (dead,) = killed
    (other,) = pids - {dead}
    (row,) = exact(client, heard, TEXT, salts=[str(other)])
    assert [(rewind.segment, rewind.offset) for rewind in heard.rewinds] == [(0, 0)]
    assert "killed" in heard.rewinds[0].reason
    assert heard.kinds() == ["started", "again"]
    assert (row["tries"], row["deaths"]) == (2, 0)
    assert heard.speech.result.complete


def test_a_worker_that_was_killed_is_replaced_and_not_blamed(service, client):
    """It is started again at once, counts as restarted, and its provider's breaker hears nothing of it."""
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(TEXT, provider="tone"))
    on_event, killed = killing(heard, lambda: service.busy(client, "tone"))
    heard.listen(on_event)
    rows = service.ready(client, "tone", 2)
    assert killed[0] not in {row["pid"] for row in rows}
    assert any(row["restarts"] and "killed" in row["last_failure"] for row in rows)
    assert {row["provider"]: row["breaker"] for row in client.providers()}["tone"] == "closed"


def test_espeak_says_the_sentence_again(service, client):
    """The same with espeak, which says no sentence twice in the same way: what is heard is one take of it."""
    for _ in range(10):  # espeak outruns the bus: the blow may come when the sentence is said
        service.ready(client, "espeak", 2)
        heard = Heard(client.speak(LONG, provider="espeak", rate=0.5))
        on_event, killed = killing(heard, lambda: service.busy(client, "espeak"))
        heard.listen(on_event)
        plausible(client, heard, LONG, speed=0.5)
        if heard.rewinds:
            break
    assert heard.rewinds and killed
    assert "again" in heard.kinds()
