"""Who may do what: one authoriser for every HTTP and WebSocket path, deny by default.

The order is fixed: the Host, then the Origin, then the credential. A credential is an identity that our own handlers put into the scope,
a bearer header, or a ticket (as a subprotocol or as `?ticket=`). A token in a URL ends up in logs and histories: it is always refused.
"""

from .decision import OWN_SUBJECTS, UNAUTHORISED, Authoriser, Identity, Refusal, log_refusal, login_subject
from .gate import LOOPBACK_ORIGINS, Gate, new_token
from .page import is_loopback
from .tickets import RESUME_LIFETIME, TICKET_LIFETIME, TICKET_SUBPROTOCOL, TicketBook, offered_tickets

__all__ = [
    "LOOPBACK_ORIGINS",
    "OWN_SUBJECTS",
    "RESUME_LIFETIME",
    "TICKET_LIFETIME",
    "TICKET_SUBPROTOCOL",
    "UNAUTHORISED",
    "Authoriser",
    "Gate",
    "Identity",
    "Refusal",
    "TicketBook",
    "is_loopback",
    "log_refusal",
    "login_subject",
    "new_token",
    "offered_tickets",
]
