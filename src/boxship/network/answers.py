"""DNS messages: answering what the engine knows (RFC 1035, section 4)."""

import random
from collections.abc import Callable
from ipaddress import IPv4Address

from dnslib import (  # type: ignore[import-untyped]
    AAAA,
    CLASS,
    PTR,
    QTYPE,
    RCODE,
    RR,
    A,
    DNSError,
    DNSRecord,
)

_TTL = 600
# As many as fit in 512 bytes, which every client takes (RFC 1035, section 4.2.1).
_MAX_ADDRESSES = 16
_REVERSE = ".in-addr.arpa"
_HEADER_SIZE = 12


class LocalAnswers:
    """Answers for one container.

    Args:
        addresses: the IPv4 addresses that a name stands for, or nothing.
        name_of: the name behind an address, or an empty string.
    """

    def __init__(
        self, addresses: Callable[[str], list[str]], name_of: Callable[[str], str]
    ) -> None:
        self._addresses = addresses
        self._name_of = name_of

    def answer(self, query: bytes) -> bytes | None:
        """The response to a query, or None when others must be asked.

        Raises:
            ValueError: the datagram is no DNS query.
        """
        try:
            record = DNSRecord.parse(query)
            if record.header.qr or len(record.questions) != 1:
                raise ValueError("not a query with one question")
            question = record.questions[0]
            if question.qclass != CLASS.IN:
                return None
            name = str(question.qname).rstrip(".")
            found = self._records(name, question.qtype)
        except (DNSError, UnicodeError) as failure:
            raise ValueError(f"not a DNS message: {failure}") from failure
        if found is None:
            return None
        reply = record.reply(ra=1, aa=0)
        reply.add_answer(*(RR(question.qname, kind, ttl=_TTL, rdata=data) for kind, data in found))
        return bytes(reply.pack())

    def _records(self, name: str, kind: int) -> list[tuple[int, A | AAAA | PTR]] | None:
        if kind == QTYPE.PTR:
            known = self._name_of(_reversed_address(name))
            return [(QTYPE.PTR, PTR(known))] if known else None
        addresses = self._addresses(name)
        if not addresses:
            return None
        if kind != QTYPE.A:
            # The name exists and has no such record: an empty answer. Were the query forwarded,
            # the answer that it does not exist would hide the address from many resolvers.
            return []
        random.shuffle(addresses)
        return [(QTYPE.A, A(address)) for address in addresses[:_MAX_ADDRESSES]]


def failure_reply(query: bytes) -> bytes:
    """SERVFAIL for a query that nobody answered, or nothing when it cannot be read."""
    try:
        reply = DNSRecord.parse(query).reply(ra=1, aa=0)
    except (DNSError, UnicodeError):
        return b""
    reply.header.rcode = RCODE.SERVFAIL
    return bytes(reply.pack())


def same_question(query: bytes, response: bytes) -> bool:
    """Whether a response belongs to a query: its id is put in place by the caller."""
    try:
        asked, answered = DNSRecord.parse(query), DNSRecord.parse(response)
    except (DNSError, UnicodeError):
        return False
    return bool(answered.header.qr) and [_key(each) for each in asked.questions] == [
        _key(each) for each in answered.questions
    ]


def _key(question: object) -> str:
    return str(question).lower()


def _reversed_address(name: str) -> str:
    lowered = name.lower()
    if not lowered.endswith(_REVERSE):
        return ""
    text = ".".join(reversed(lowered.removesuffix(_REVERSE).split(".")))
    try:
        return str(IPv4Address(text))
    except ValueError:
        return ""
