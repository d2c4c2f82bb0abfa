"""Administrators' sign-in over ports in memory: what the pages cannot reach or show."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from tests.unit.auth.administrator_fakes import FakeCodes
from tests.unit.auth.fakes import FakeAttempts, FakeClock, FakeRandomness, FakeSigner, FakeTransactions

from keystead_auth.adapters.one_time_codes import TotpCodes
from keystead_auth.domain.administrator_errors import AdministratorUnknown, CredentialsWrong, HalfSessionOver
from keystead_auth.domain.administrators import Administrator, HalfSignedIn, Rules, SignedInAdministrator, Step
from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.domain.persons import verifications
from keystead_auth.ports import Guess, Whose
from keystead_auth.usecases import sign_in_administrator as module
from keystead_auth.usecases.administrator_desk import AdministratorDesk
from keystead_auth.usecases.confirm_code import confirm_code
from keystead_auth.usecases.prune import prune
from keystead_auth.usecases.recognize_administrator import recognize_administrator
from keystead_auth.usecases.sign_in_administrator import sign_in_administrator
from keystead_auth.usecases.sign_in_administrator_by_idp import sign_in_administrator_by_idp
from keystead_contracts.people import AdministratorMethod
from keystead_kit.passwords import hash_password, needs_rehash

PASSWORD = "four calm horses swim"
GRACE = Administrator(
    "grace", 1, "grace@example.org", "Grace", (AdministratorMethod.PASSWORD,), password_hash=hash_password(PASSWORD),
    totp_secret="sealed-grace", totp_step=5,
)  # fmt: skip
GUESS = Guess(Whose.ADMINISTRATOR, "grace@example.org", "192.0.2.1")


@dataclass
class World:
    transactions: FakeTransactions = field(default_factory=FakeTransactions)
    attempts: FakeAttempts = field(default_factory=FakeAttempts)
    clock: FakeClock = field(default_factory=FakeClock)
    rules: Rules = field(default_factory=Rules)

    @property
    def desk(self) -> AdministratorDesk:
        return AdministratorDesk(
            self.transactions, self.attempts, FakeSigner(), self.randomness, self.clock, FakeCodes(), self.rules
        )

    randomness: FakeRandomness = field(default_factory=FakeRandomness)

    def know(self, administrator: Administrator) -> None:
        self.transactions.store.administrators.rows[administrator.id] = administrator

    def session(self) -> str:
        half = sign_in_administrator(self.desk, GUESS, PASSWORD)
        assert isinstance(half, HalfSignedIn)
        step = (self.transactions.store.administrators.rows["grace"].totp_step or 0) + 1
        token = confirm_code(self.desk, token=half.token, code=str(step)).session_token
        assert token
        return token


@pytest.fixture
def world() -> World:
    world = World()
    world.know(GRACE)
    return world


def test_a_used_up_limit_refuses_before_anything_is_compared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.attempts.wait = 60
    monkeypatch.setattr(module, "verify_password", lambda *_: pytest.fail("compared"))
    with pytest.raises(TooManyAttempts):
        sign_in_administrator(world.desk, GUESS, PASSWORD)


@pytest.mark.parametrize("email", ["grace@example.org", "nobody@example.org", "idp@example.org", "gone@example.org"])
def test_every_address_costs_one_comparison(world: World, email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world.know(replace(GRACE, id="i", email="idp@example.org", methods=(AdministratorMethod.IDP,)))
    world.know(replace(GRACE, id="g", email="gone@example.org", active=False))
    compared: list[str | None] = []

    def compare(stored: str | None, _password: str) -> bool:
        compared.append(stored)
        return False

    monkeypatch.setattr(module, "verify_password", compare)
    with pytest.raises(CredentialsWrong):
        sign_in_administrator(world.desk, replace(GUESS, email=email), PASSWORD)
    assert len(compared) == 1


def test_a_hash_of_old_parameters_is_renewed_at_sign_in(world: World) -> None:
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    world.know(replace(GRACE, password_hash=old))
    sign_in_administrator(world.desk, GUESS, PASSWORD)
    renewed = world.transactions.store.administrators.rows["grace"].password_hash
    assert renewed and renewed != old and not needs_rehash(renewed)


def test_a_half_session_of_one_step_does_for_no_other(world: World) -> None:
    world.know(replace(GRACE, totp_secret=None))
    half = sign_in_administrator(world.desk, GUESS, PASSWORD)
    assert isinstance(half, HalfSignedIn) and half.step is Step.AUTHENTICATOR
    with pytest.raises(HalfSessionOver):
        confirm_code(world.desk, token=half.token, code="9")


def test_a_wrong_code_uses_nothing_up(world: World) -> None:
    half = sign_in_administrator(world.desk, GUESS, PASSWORD)
    assert isinstance(half, HalfSignedIn)
    for code in ("5", "no code"):
        with pytest.raises(Exception, match="not right"):
            confirm_code(world.desk, token=half.token, code=code)
    assert confirm_code(world.desk, token=half.token, code="6")


def test_a_session_without_a_code_is_over_once_codes_are_required(world: World) -> None:
    world.rules = Rules(second_factor_required=False)
    world.know(replace(GRACE, totp_secret=None))
    who = sign_in_administrator(world.desk, GUESS, PASSWORD)
    assert isinstance(who, SignedInAdministrator)
    assert recognize_administrator(world.desk, who.session_token)
    world.rules = Rules()
    assert recognize_administrator(world.desk, who.session_token) is None


def test_a_session_is_kept_alive_by_use_and_not_beyond_its_end(world: World) -> None:
    token = world.session()
    for _ in range(12):
        world.clock.pass_by(minutes=59)
        assert recognize_administrator(world.desk, token)
    world.clock.pass_by(minutes=59)
    assert recognize_administrator(world.desk, token) is None


def test_an_identity_provider_brings_in_only_those_who_sign_in_so(world: World) -> None:
    for email in ("grace@example.org", "nobody@example.org"):
        with pytest.raises(AdministratorUnknown):
            sign_in_administrator_by_idp(world.desk, email=email, provider_id="p")


def test_what_is_over_is_forgotten(world: World) -> None:
    world.session()
    sign_in_administrator(world.desk, GUESS, PASSWORD)
    world.clock.pass_by(days=3)
    assert prune(world.transactions, world.clock) == 2
    assert world.transactions.store.administrator_sessions.rows == world.transactions.store.half_sessions.rows == {}


@pytest.mark.parametrize(("organizations", "count"), [(0, 1), (1, 1), (2, 2), (3, 3), (500, 3)])
def test_a_form_compares_as_many_secret_ids_for_every_address(organizations: int, count: int) -> None:
    assert verifications(organizations) == count


def test_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, with its last six digits."""
    import base64

    import pyotp

    secret = base64.b32encode(b"12345678901234567890").decode()
    assert [pyotp.TOTP(secret).at(second) for second in (59, 1111111109, 20000000000)] == ["287082", "081804", "353130"]


def test_a_code_of_the_neighbouring_steps_is_taken_and_none_further() -> None:
    import pyotp

    codes, clock = TotpCodes(b"k" * 32), FakeClock()
    sealed = codes.new_secret("grace")
    totp, now = pyotp.TOTP(codes.shown(sealed, "grace")), clock.now()
    current = int(now.timestamp()) // 30
    found = [codes.step(sealed, "grace", totp.at(now + timedelta(seconds=30 * step)), now) for step in range(-2, 3)]
    assert found == [None, current - 1, current, current + 1, None]
