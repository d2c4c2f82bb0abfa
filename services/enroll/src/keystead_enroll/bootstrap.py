"""Joins adapters and use cases. The one file of enroll that knows both."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from sqlalchemy.orm import Session

from keystead_contracts.events import Envelope, Fact
from keystead_contracts.people import AdministratorSignInsEnded, IdentityProviderChecked
from keystead_enroll.adapters import tables
from keystead_enroll.adapters.argon2_hasher import Argon2Hasher
from keystead_enroll.adapters.builtin_ca import BuiltinCa
from keystead_enroll.adapters.ek_roots import load_roots
from keystead_enroll.adapters.keyed_secrets import KeyedSecrets
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.adapters.sealed_keys import SealedKeys
from keystead_enroll.adapters.shape_memory import ProcessShapeMemory
from keystead_enroll.adapters.store import SqlTransaction
from keystead_enroll.adapters.together_store import TogetherTransactions
from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.issuance import BatchSize
from keystead_enroll.domain.status import StatusAddresses, authority_id
from keystead_enroll.metrics import ORDERS_DESERTED
from keystead_enroll.ports import PasswordHasher, RateLimits
from keystead_enroll.settings import EnrollSettings
from keystead_enroll.usecases.admin.access_codes import AccessCodes
from keystead_enroll.usecases.admin.console import end_consoles
from keystead_enroll.usecases.admin.identity_providers import take_judgement
from keystead_enroll.usecases.admin.try_form import TrialRules
from keystead_enroll.usecases.answer_ocsp import OcspAnswers
from keystead_enroll.usecases.bulk.duties import BulkDuties
from keystead_enroll.usecases.end_deserted_orders import end_deserted_orders
from keystead_enroll.usecases.enter_access_code import CodeLimits
from keystead_enroll.usecases.inspect_certificate import Inspection
from keystead_enroll.usecases.issue_certificates import issue_certificates
from keystead_enroll.usecases.publish_lists import publish_lists
from keystead_enroll.usecases.renew_responder import renew_responder
from keystead_enroll.usecases.tell_approvers import tell_approvers
from keystead_kit.bus import Bus
from keystead_kit.clock import Clock, SystemClock
from keystead_kit.db import Database
from keystead_kit.logs import get_logger
from keystead_kit.migrations import Migrations
from keystead_kit.ratelimit import RateLimiter
from keystead_kit.secrets import TokenSigner, TokenVerifier
from keystead_kit.worker import Messenger

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass
class Enroll:
    """Enroll, joined: what web, worker and CLI share."""

    settings: EnrollSettings
    clock: Clock
    database: Database
    bus: Bus
    transactions: TogetherTransactions
    secrets: KeyedSecrets
    linter: PkilintLinter
    limits: RateLimits
    code_limits: CodeLimits
    access_codes: AccessCodes
    passwords: PasswordHasher

    def migrations(self) -> Migrations:
        """This service's migrations on its database."""
        return Migrations(self.database, tables.metadata, MIGRATIONS)

    def trial_rules(self) -> TrialRules:
        """What test runs of forms need to know."""
        chosen = self.settings
        return TrialRules(self.linter, self.limits, chosen.open_orders_limit, chosen.trial_limit_administrator)

    def identity_verifier(self) -> TokenVerifier:
        """Verifies identity tokens with auth's public key."""
        return TokenVerifier.from_file(self.settings.identity_key_file)

    def open_ca(self) -> BuiltinCa:
        """The built-in CA. Raises CaRefused if it cannot be used."""
        passphrase = self.settings.ca_key_passphrase
        return BuiltinCa.open(
            self.settings.ca_folder,
            now=self.clock.now(),
            passphrase=passphrase.get_secret_value().encode() if passphrase else None,
        )

    @cached_property
    def _shapes(self) -> ProcessShapeMemory:
        return ProcessShapeMemory()

    @cached_property
    def _batch(self) -> BatchSize:
        return BatchSize()

    @cached_property
    def ek_roots(self) -> EkRoots:
        """The TPM manufacturers' certificates. Raises EkRootsUnusable if they cannot be used."""
        folder = self.settings.ek_roots_folder
        read = load_roots(folder, self.settings.ek_roots_key_file)
        if folder is not None:
            revoked = sum(map(len, read.revoked.values()))
            counts = {"roots": len(read.roots), "intermediates": len(read.intermediates), "revoked": revoked}
            get_logger().info("TPM manufacturers' certificates read", **counts)
        return read

    def messenger(self) -> Messenger:
        """The outbox and inbox."""
        return Messenger(self.database, self.bus, self.clock, tables.outbox, tables.inbox, self._take)

    def _take(self, session: Session, fact: Fact, _envelope: Envelope) -> None:
        """Takes a fact in, in the inbox's transaction. Facts that are none of enroll's business are dropped."""
        if isinstance(fact, IdentityProviderChecked):
            take_judgement(SqlTransaction(session, self.clock), fact)
        elif isinstance(fact, AdministratorSignInsEnded):
            end_consoles(SqlTransaction(session, self.clock), fact, self.clock.now())

    def issue(self, ca: BuiltinCa, linter: PkilintLinter) -> int:
        """Duty: issues what is accepted."""
        chosen = self.settings
        inspection = Inspection(linter, self._shapes, chosen.lint_share, random.random)
        addresses = self.status_addresses(ca)
        told = chosen.status_in_certificates and ca.signs_lists and addresses.resolvable
        return issue_certificates(
            self.transactions, self.clock, ca, inspection, chosen.public_origin, chosen.level_policies, self._batch,
            addresses if told else None,
        )  # fmt: skip

    def status_addresses(self, ca: BuiltinCa) -> StatusAddresses:
        """Where relying parties learn what the CA's certificates are worth."""
        origin = self.settings.status_origin or self.settings.public_origin
        return StatusAddresses(origin, authority_id(ca.issuer_certificate))

    def publish_lists(self, ca: BuiltinCa) -> int:
        """Duty: signs revocation lists ahead of need, and after each revocation."""
        life = timedelta(hours=self.settings.crl_hours)
        return publish_lists(self.transactions, self.clock, ca, self.status_addresses(ca), life)

    @cached_property
    def _sealed_keys(self) -> SealedKeys:
        return SealedKeys(self.settings.cookie_key.get_secret_value().encode())

    def renew_responder(self, ca: BuiltinCa, linter: PkilintLinter) -> int:
        """Duty: has the CA's OCSP responder certified in time."""
        return renew_responder(self.transactions, self.clock, ca, linter, self._sealed_keys)

    def ocsp_answers(self) -> OcspAnswers:
        """What answers OCSP requests in a web process."""
        life = timedelta(hours=self.settings.ocsp_hours)
        return OcspAnswers(self.transactions, self.clock, self._sealed_keys, life)

    def end_deserted(self) -> int:
        """Duty: ends the orders whose agent went away."""
        token_life = timedelta(seconds=self.settings.agent_token_seconds)
        ended = end_deserted_orders(self.transactions, self.clock, self.settings.public_origin, token_life)
        ORDERS_DESERTED.inc(ended)
        return ended

    def tell_approvers(self) -> int:
        """Duty: tells administrators what waits for their approval."""
        pause = timedelta(minutes=self.settings.approval_letter_minutes)
        return tell_approvers(self.transactions, self.clock, self.settings.public_origin, pause)

    @cached_property
    def bulk(self) -> BulkDuties:
        """What the worker does for bulk jobs."""
        chosen = self.settings
        return BulkDuties(self.transactions, self.clock, chosen.public_origin, chosen.bulk_in_flight)

    def close(self) -> None:
        """Closes every connection."""
        self.bus.close()
        self.database.close()


def build(settings: EnrollSettings, clock: Clock | None = None) -> Enroll:
    """Enroll from its settings. Connects to nothing yet."""
    clock = clock or SystemClock()
    database = Database(settings.database_url.get_secret_value())
    redis_url = settings.redis_url.get_secret_value()
    bus = Bus(tables.SERVICE, redis_url)
    secrets = KeyedSecrets(
        settings.access_code_key.get_secret_value().encode(),
        settings.cookie_key.get_secret_value().encode(),
        TokenSigner.from_file(settings.token_key_file),
        settings.agent_token_seconds,
    )
    limits = RateLimiter(redis_url, tables.SERVICE)
    return Enroll(
        settings=settings,
        clock=clock,
        database=database,
        bus=bus,
        transactions=TogetherTransactions(database, bus, clock),
        secrets=secrets,
        linter=PkilintLinter(),
        limits=limits,
        code_limits=CodeLimits(
            settings.access_code_limit_person, settings.access_code_limit_form, settings.access_code_limit_address
        ),
        access_codes=AccessCodes(secrets, limits, settings.access_code_limit_administrator),
        passwords=Argon2Hasher(),
    )
