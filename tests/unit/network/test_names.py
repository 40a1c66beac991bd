import random

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from boxship.network.answers import LocalAnswers, failure_reply, same_question
from boxship.network.names import Directory, dns_names


def directory() -> Directory:
    made = Directory()
    made.add(("n1", "front"), "c1", "10.0.0.2", ("web", "www"))
    made.add(("n1", "front"), "c2", "10.0.0.3", ("db",))
    made.add(("n1", "front"), "c3", "10.0.0.4", ("db2", "www"))
    made.add(("n2", "back"), "c4", "10.1.0.2", ("cache",))
    return made


def test_names_are_seen_on_shared_networks_only() -> None:
    known = directory()
    assert known.addresses("c1", "DB") == ["10.0.0.3"]
    assert known.addresses("c1", "db.front") == ["10.0.0.3"]
    assert known.addresses("c1", "db.back") == []
    assert known.addresses("c1", "cache") == []
    assert sorted(known.addresses("c2", "www")) == ["10.0.0.2", "10.0.0.4"]
    known.add(("n2", "back"), "c1", "10.1.0.3", ("web",))
    assert known.addresses("c1", "cache") == ["10.1.0.2"]
    known.remove("n2", "c4")
    assert known.addresses("c1", "cache") == []


def test_links_are_private() -> None:
    known = directory()
    known.add_links("c1", ["db:store", "db2"])
    assert known.addresses("c1", "store") == ["10.0.0.3"]
    assert known.addresses("c2", "store") == []
    known.forget_links("c1")
    assert known.addresses("c1", "store") == []


def test_a_container_answers_to_several_names() -> None:
    names = dns_names("web", "0123456789abcdef", "host", ("www", "web"))
    assert names == ("web", "www", "0123456789ab", "host")


def answers(container_id: str = "c1") -> LocalAnswers:
    known = directory()
    return LocalAnswers(
        lambda name: known.addresses(container_id, name),
        lambda address: known.name_of(container_id, address),
    )


def ask(name: str, kind: str = "A") -> DNSRecord | None:
    query = bytes(DNSRecord.question(name, kind).pack())
    reply = answers().answer(query)
    if reply is None:
        return None
    assert reply[:2] == query[:2]
    assert same_question(query, reply)
    return DNSRecord.parse(reply)


def test_addresses_are_answered() -> None:
    reply = ask("www")
    assert reply is not None
    assert sorted(str(each.rdata) for each in reply.rr) == ["10.0.0.2", "10.0.0.4"]
    assert (reply.header.rcode, reply.header.ra) == (RCODE.NOERROR, 1)


def test_a_known_name_without_such_a_record_is_empty_not_absent() -> None:
    reply = ask("db", "AAAA")
    assert reply is not None
    assert (reply.header.rcode, reply.rr) == (RCODE.NOERROR, [])


def test_addresses_have_names() -> None:
    reply = ask("3.0.0.10.in-addr.arpa", "PTR")
    assert reply is not None
    assert (reply.rr[0].rtype, str(reply.rr[0].rdata)) == (QTYPE.PTR, "db.front.")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("elsewhere.example", "A"), ("9.9.9.9.in-addr.arpa", "PTR"), ("x.in-addr.arpa", "PTR")],
)
def test_the_rest_is_for_others(name: str, kind: str) -> None:
    assert ask(name, kind) is None


def test_many_addresses_fit_into_a_datagram() -> None:
    addresses = [f"10.0.1.{n}" for n in range(200)]
    reply = LocalAnswers(lambda _: list(addresses), lambda _: "").answer(
        bytes(DNSRecord.question("x" * 60 + "." + "y" * 60).pack())
    )
    assert reply is not None
    assert len(reply) <= 512


def test_garbage_is_refused_and_nothing_worse() -> None:
    chance = random.Random(7)  # noqa: S311 - the same noise every time
    query = bytes(DNSRecord.question("www").pack())
    for _ in range(2000):
        data = bytearray(query)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        noise = bytes(data[: chance.randint(0, len(data))])
        try:
            answers().answer(noise)
        except ValueError:
            continue
        failure_reply(noise)


def test_a_failure_is_said() -> None:
    query = bytes(DNSRecord.question("nowhere.example").pack())
    assert DNSRecord.parse(failure_reply(query)).header.rcode == RCODE.SERVFAIL
    assert failure_reply(b"\0\1") == b""


def test_another_question_is_not_an_answer() -> None:
    query = DNSRecord.question("a.example")
    forged = DNSRecord.question("b.example").reply()
    assert not same_question(bytes(query.pack()), bytes(forged.pack()))
