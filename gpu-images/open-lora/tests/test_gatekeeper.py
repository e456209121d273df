"""Signed requests of hosting mode while the secret is rotated."""

import pytest

from open_lora.front.gatekeeper import Gatekeeper, signature
from open_lora.refusals import Refusal

OLD, NEW, BODY = b"old", b"new", b"{}"


class World:
    def __init__(self):
        self.now, self.secret, self.reads = 1_000.0, OLD, 0
        self.keeper = Gatekeeper(self.read, lambda: self.now)

    def read(self) -> bytes:
        self.reads += 1
        return self.secret

    def passes(self, secret: bytes, body: bytes = BODY, lasts: int = 60) -> bool:
        expires = int(self.now) + lasts
        try:
            self.keeper.check(f"v1;{expires};{signature(secret, expires, BODY)}", body)
        except Refusal as refusal:
            assert refusal.code == "unauthorized"
            return False
        return True


def test_a_signature_is_good_for_its_body_and_its_time_alone():
    world = World()
    assert world.passes(OLD)
    assert not world.passes(OLD, body=b"{ }") and not world.passes(OLD, lasts=-1) and not world.passes(OLD, lasts=3_600)
    for header in (None, "", "v1;;", "v2;1060;00", "v1;1060;\u00e9", f"v1;\u00b2;{signature(OLD, 2, BODY)}"):
        with pytest.raises(Refusal):
            world.keeper.check(header, BODY)


def test_both_secrets_are_good_while_a_rotation_gets_around_then_the_new_one_alone():
    world = World()
    world.now += 6
    world.secret = NEW
    assert world.passes(OLD)  # nobody has signed with the new one yet
    assert world.passes(NEW) and world.passes(OLD)
    world.now += 599
    assert world.passes(OLD)
    world.now += 2
    assert not world.passes(OLD) and world.passes(NEW)


def test_wrong_signatures_do_not_make_it_read_the_secret_again_and_again():
    world = World()
    for _ in range(20):
        world.now += 1
        assert not world.passes(b"guessed")
    assert world.reads == 1 + 4
    world.now, world.secret = world.now + 5, NEW
    assert world.passes(NEW)
