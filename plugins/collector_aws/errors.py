"""What AWS means by its error codes.

Each service has its own words for the same few things. `send` puts them into the words below, and the
original code goes into the detail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collector.model import CallFailed, Fault, Outcome

__all__ = ["ERRORS", "failed"]

ERRORS: Mapping[str, Fault] = {
    "not-set": Fault(Outcome.ABSENT),  # declared for the operation in services/*.toml, nothing else
    "denied": Fault(Outcome.DENIED),
    "not-opted-in": Fault(Outcome.DENIED),  # the region or the service is not enabled for the account
    "login": Fault(Outcome.DENIED),
    "throttled": Fault(Outcome.BUDGET, retry=True),
    "unavailable": Fault(Outcome.FAILED, retry=True),
    "pending": Fault(Outcome.BUDGET, retry=True),  # a report that is still being made
    "vanished": Fault(Outcome.VANISHED),
    "unsupported": Fault(Outcome.UNSUPPORTED),
    "no-endpoint": Fault(Outcome.UNREACHABLE),
    "unreadable": Fault(Outcome.MALFORMED),
    "truncated": Fault(Outcome.TRUNCATED),
}

_THROTTLED = frozenset(
    """BandwidthLimitExceeded EC2ThrottledException LimitExceededException PriorRequestNotComplete
    ProvisionedThroughputExceededException RequestLimitExceeded RequestThrottled RequestThrottledException
    SlowDown ThrottledException Throttling ThrottlingException TooManyRequests TooManyRequestsException
    TransactionInProgressException""".split()
)
_DENIED = frozenset(
    """AccessDenied AccessDeniedException AccessDeniedFault AllAccessDisabled AuthorizationError
    AuthorizationErrorException AWSOrganizationsNotInUseException Forbidden ForbiddenException
    NotAuthorized NotAuthorizedException UnauthorizedAccess UnauthorizedException UnauthorizedOperation
    AccountProblem""".split()
)
_CREDENTIALS = frozenset(
    """AuthFailure ExpiredToken ExpiredTokenException IncompleteSignature InvalidAccessKeyId
    InvalidClientTokenId InvalidSignatureException InvalidToken MissingAuthenticationToken
    RequestExpired SignatureDoesNotMatch UnrecognizedClientException""".split()
)
_NOT_OPTED_IN = frozenset("OptInRequired SubscriptionRequiredException RegionDisabledException".split())
_UNSUPPORTED = frozenset(
    """InvalidAction MethodNotAllowed NotImplemented OperationNotSupportedException UnknownOperationException
    UnsupportedOperation UnsupportedOperationException UnsupportedUserEdition""".split()
)
_PENDING = frozenset("ReportInProgress ReportNotPresent".split())
_VANISHED_WORDS = ("NoSuch", "NotFound", "NonExistent", "DoesNotExist", "ResourceNotFound")
_MAX_MESSAGE = 300


def failed(code: str, message: str, status: int, absent: Sequence[tuple[str, str]] = ()) -> CallFailed:
    """The error to raise for AWS's own code and message; `absent` is what the operation declares."""
    detail = f"{code}: {message[:_MAX_MESSAGE]}" if message else code
    for declared, words in absent:
        if code == declared and words.lower() in message.lower():
            return CallFailed("not-set", detail)
    return CallFailed(_word(code, message, status), detail)


def _word(code: str, message: str, status: int) -> str:
    for word, codes in (
        ("throttled", _THROTTLED),
        ("denied", _DENIED),
        ("login", _CREDENTIALS),
        ("not-opted-in", _NOT_OPTED_IN),
        ("pending", _PENDING),
        ("unsupported", _UNSUPPORTED),
    ):
        if code in codes:
            return word
    if any(word in code for word in _VANISHED_WORDS):
        return "vanished"
    if status == 429:
        return "throttled"
    if status in (401, 403) or "not authorized" in message:
        return "denied"
    if status == 500 and (not code or code.isdigit()):
        return "unreadable"  # not in AWS's words, so no sign that another try would help
    return "unavailable" if status >= 500 else code
