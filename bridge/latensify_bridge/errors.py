"""Everything that can go wrong, once: the exception tree, the code on the wire, the exit code of the command line.

LatensifyError
+-- BadRequest            bad_request      2   a message or a command that makes no sense
|   +-- BadParameter      bad_parameter    2   an unknown parameter, or a value out of its limits
|   +-- UnknownEffect     unknown_effect   2
+-- BadInput              bad_input        3   a plate, matte or range that is missing, unreadable or does not fit
|   +-- FrameMissing      frame_missing    3   the server does not hold a frame that a request names
+-- OutputFailed          output_failed    4   a full disk, a folder that cannot be written
+-- ModelMissing          model_missing    5   no installed model can do this
+-- Unreachable           unreachable      6   no server, or it died or went silent
|   +-- VersionMismatch   version          6   the other side speaks another protocol
|   +-- Misbehaved        misbehaved       6   the other side sent what the protocol does not allow
|   +-- Refused           refused          6   keys: one side does not know the other
+-- Busy                  busy             7   a limit of the server: jobs, frames or memory
|   +-- OutOfMemory       out_of_memory    7
+-- EngineFailed          engine_failed    8   the edit itself failed
+-- Cancelled             cancelled      130   the user or the host stopped it
"""

from __future__ import annotations

from typing import ClassVar


class LatensifyError(Exception):
    """A failure told in one sentence that names the thing and the remedy.

    `request` is the id of the request that failed, as the server's log has it; empty where none was made.
    """

    request: str = ""
    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1


class BadRequest(LatensifyError):
    code = "bad_request"
    exit_code = 2


class BadParameter(BadRequest):
    code = "bad_parameter"


class UnknownEffect(BadRequest):
    code = "unknown_effect"


class BadInput(LatensifyError):
    code = "bad_input"
    exit_code = 3


class FrameMissing(BadInput):
    code = "frame_missing"


class OutputFailed(LatensifyError):
    code = "output_failed"
    exit_code = 4


class ModelMissing(LatensifyError):
    code = "model_missing"
    exit_code = 5


class Unreachable(LatensifyError):
    code = "unreachable"
    exit_code = 6


class TimedOut(Unreachable):
    code = "timeout"


class VersionMismatch(Unreachable):
    code = "version"


class Misbehaved(Unreachable):
    code = "misbehaved"


class Refused(Unreachable):
    code = "refused"


class Busy(LatensifyError):
    code = "busy"
    exit_code = 7


class OutOfMemory(Busy):
    code = "out_of_memory"


class EngineFailed(LatensifyError):
    code = "engine_failed"
    exit_code = 8


class Cancelled(LatensifyError):
    code = "cancelled"
    exit_code = 130


def _tree(root: type[LatensifyError]) -> list[type[LatensifyError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _tree(child))]


def by_code() -> dict[str, type[LatensifyError]]:
    """Every failure by its code on the wire."""
    return {kind.code: kind for kind in _tree(LatensifyError)}


def reason_of(error: BaseException) -> str:
    """An unexpected error in words, to stand inside a sentence."""
    return f"{type(error).__name__}: {error}".rstrip(".")


def from_code(code: str, sentence: str) -> LatensifyError:
    """The exception for a failure that came over the wire; an unknown code becomes the plain LatensifyError."""
    return by_code().get(code, LatensifyError)(sentence)
