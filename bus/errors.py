"""Everything that can go wrong, by who has to change something.

::

    VoicebusError                    base of all; has .code, .message, .retry_after
      CallerError                    the request is wrong as it is; sending it again is no use
        BadMessage                   bytes that are not a message, or over a limit
        InvalidRequest               an unknown voice, language, provider, option or format, an empty text ...
        NotFound                     no such job (or not yours)
        Conflict                     another body under the same job name
      DaemonError                    the service cannot do it now
        NotRunning                   no daemon answers, and none was to be started
        VersionMismatch              client and daemon have no protocol version in common
        QueueFull                    too much is waiting; .retry_after says when to try again
        StorageError                 no space, or the log cannot be written
        Disconnected                 the daemon went away and did not come back in time
      JobError                       an accepted job ended without success
        JobFailed                    nobody in the chain could say it; .message has the trail
        JobCancelled                 somebody cancelled it, or nobody listened

Codes travel on the wire as plain words (the `code` of ERROR, REFUSED and TERMINAL); `error_for` turns them
back into these classes. `FAILURES` lists the classes of failure that a worker reports or the daemon finds.
"""

from __future__ import annotations


class VoicebusError(Exception):
    """Base of all errors of voicebus.

    code: the word that stands for it on the wire. message: for a person, says what happened, to what, and
    what to do.
    retry_after: seconds after which trying again may help, 0 where it will not.
    """

    code = "error"

    def __init__(self, message: str, *, code: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.retry_after = retry_after


class CallerError(VoicebusError):
    """The request is wrong as it is; sending it again is no use."""

    code = "invalid"


class BadMessage(CallerError):
    """Bytes that are not a message, or over a limit."""

    code = "bad_message"


class InvalidRequest(CallerError):
    """A request that names something that is not there, or a value out of range."""

    code = "invalid"


class NotFound(CallerError):
    """No such job (or not yours)."""

    code = "not_found"


class Conflict(CallerError):
    """Another body under the same job name or piece number."""

    code = "conflict"


class DaemonError(VoicebusError):
    """The service cannot do it now."""

    code = "unavailable"


class NotRunning(DaemonError):
    """No daemon answers, and none was to be started."""

    code = "not_running"


class VersionMismatch(DaemonError):
    """Client and daemon have no protocol version in common."""

    code = "version"


class QueueFull(DaemonError):
    """Too much is waiting; `retry_after` says when to try again."""

    code = "queue_full"


class StorageError(DaemonError):
    """No space, or the log cannot be written."""

    code = "storage"


class Disconnected(DaemonError):
    """The daemon went away and did not come back in time."""

    code = "disconnected"


class JobError(VoicebusError):
    """An accepted job ended without success."""

    code = "failed"


class JobFailed(JobError):
    """Nobody in the chain could say it; the message has the trail."""

    code = "failed"


class JobCancelled(JobError):
    """Somebody cancelled it, or nobody listened."""

    code = "cancelled"


CALLER_CODES = frozenset(
    {
        "invalid",
        "bad_message",
        "unknown_voice",
        "unknown_language",
        "unknown_provider",
        "unknown_model",
        "unsupported",
        "empty_text",
        "too_long",
        "not_found",
        "gone",
        "deleted",
        "conflict",
        "out_of_order",
        "ended",
        "not_reading",
        "not_importing",
    }
)
"""Codes of ERROR whose blame is the caller's."""

_CLASSES: dict[str, type[VoicebusError]] = {
    "bad_message": BadMessage,
    "not_found": NotFound,
    "deleted": NotFound,
    "conflict": Conflict,
    "version": VersionMismatch,
    "queue_full": QueueFull,
    "storage": StorageError,
    "disk_full": StorageError,
    "cancelled": JobCancelled,
    "abandoned": JobCancelled,
}


def error_for(code: str, message: str, retry_after: float = 0.0) -> VoicebusError:
    """The exception that stands for a code from the wire, with the code kept."""
    fallback: type[VoicebusError] = InvalidRequest if code in CALLER_CODES else DaemonError
    return _CLASSES.get(code, fallback)(message, code=code, retry_after=retry_after)


FAILURES: dict[str, str] = {
    "crash": "the worker died by itself",
    "killed": "the worker was killed from outside",
    "hang": "the worker made no progress within its deadline",
    "out_of_memory": "the engine ran out of memory",
    "load_failed": "the engine could not be loaded",
    "silent": "no sound came for a text that can be spoken",
    "truncated": "the audio ends before the text does",
    "repeating": "the engine says the same sound again and again",
    "unheard": "the worker was done with a recording before it had all of it",
    "rate_limited": "the provider asks to slow down",
    "quota": "the provider's quota or credit is used up",
    "auth": "the provider does not accept the key",
    "unavailable": "the provider cannot be reached or is out of order",
    "invalid_input": "the engine refuses this text or voice",
    "protocol": "the worker broke the protocol",
}
"""The classes of failure of an attempt, each with what it means."""
