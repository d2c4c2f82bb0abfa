"""Writes one golden sample of every message into `samples/`, from fixed values.

A sample that exists is never written again: it is what an older release sent, and is parsed for ever. A new message
class gets its first sample here; a changed one a further sample under another name (`Class.2.json`).

    python tests/contract/make_samples.py
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from keystead_contracts import agent, attestation, events, identity, people, problems
from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm, Message

SAMPLES = Path(__file__).parent / "samples"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = datetime(2027, 11, 23, 12, 0, tzinfo=UTC)
ID, OTHER_ID, TRACE = "0" * 31 + "1", "0" * 31 + "2", "4bf92f3577b34da6a3ce929d0e0e4736"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
FORM = "v010HR7Lab1lVs55STtkcnoNJ22b_Zse"
MACHINE = agent.MachineInfo(
    hostname="pump-42",
    platform="linux",
    agent_version="1.0.0",
    key_provider=agent.KeyProvider.TPM2,
    tpm_manufacturer="IBM",
    tpm_firmware="1.59",
)
TPM = agent.TpmEvidence(public_area="AAEC", creation_data="AwQF", creation_hash="BgcI")
KEYS = attestation.AttestationKey(
    endorsement_key="AAEC",
    endorsement_certificates=(attestation.EndorsementCertificate(content="MIIB", nv_index=0x01C0000A),),
    public_area="AwQF",
    creation_data="BgcI",
    creation_attestation="CQoL",
    creation_signature="DA0O",
)
CHALLENGE = attestation.CredentialChallenge(
    challenge_id=ID, credential_blob="AAEC", encrypted_secret="AwQF", nonce="BgcI", expires_at=AT
)
ACTIVATION = attestation.Activation(challenge_id=ID, secret="AAEC")
CERTIFICATION = attestation.KeyCertification(attestation_key_name="AAvd", certify_info="AAEC", signature="AwQF")
PROVEN = TPM.model_copy(update={"certification": CERTIFICATION, "activation": ACTIVATION})
MAKE = agent.MakeKeyAndCsr(
    key_algorithm=KeyAlgorithm.EC_P256, subject="CN=Ada,O=Example", certificate_type=CertificateType.CLIENT
)
INSTALL = agent.Install(
    certificate_pem=PEM, chain_pem=[PEM], root_pem=PEM, certificate_type=CertificateType.CLIENT, probe="AAEC"
)
LOGIN = events.LoginRequested(
    email="ada@example.org",
    organization="Example",
    form_name="Staff",
    link="https://enroll.example.org/auth/confirm/abc",
    requested_at=AT,
    expires_at=LATER,
    requested_from="192.0.2.1",
    help_link="https://help.example.org",
    language="de",
)
WAITING = events.WaitingRequest(
    wanted="Ada",
    person="ada@example.org",
    organization="Example",
    form_name="Staff",
    certificate_type=CertificateType.CLIENT,
    asked_at=AT,
)


def samples() -> list[Message]:
    """One message of each class, every field given."""
    return [
        agent.EnrollLink(server="https://enroll.example.org", claim="c" * 43),
        MACHINE,
        agent.ClaimRequest(claim="c" * 43, agent_secret="a" * 64, machine=MACHINE),
        agent.AgentToken(
            access_token="t", expires_in=600, recipient=f"claim:{ID}", organization="Example", trace_id=TRACE
        ),
        KEYS.endorsement_certificates[0],
        KEYS,
        CHALLENGE,
        ACTIVATION,
        CERTIFICATION,
        attestation.ChallengeAnswer(activation=ACTIVATION, certification=CERTIFICATION),
        attestation.AttestationReason(code="chain_is_trusted", text="The chain ends at a root that is trusted."),
        attestation.AttestationResult(
            level=AssuranceLevel.VENDOR,
            reasons=(attestation.AttestationReason(code="nonce_is_ours", text="The nonce is the server's."),),
        ),
        agent.ClaimRequest(claim="c" * 43, agent_secret="a" * 64, machine=MACHINE, attestation=KEYS),
        agent.AgentToken(access_token="t", expires_in=600, recipient=f"claim:{ID}", challenge=CHALLENGE),
        PROVEN,
        agent.RegistrationRequest(
            registration_token="r" * 16,
            machine=MACHINE,
            public_key_pem=PEM,
            proof="AAEC",
            evidence=TPM,
            attestation=KEYS,
        ),
        agent.RegistrationReply(device_id=ID, organization="Example", challenge=CHALLENGE),
        MAKE.model_copy(update={"attestation_nonce": "AAEC"}),
        agent.CsrReady(csr_pem=CSR, evidence=PROVEN, duration_ms=12.5),
        TPM,
        agent.SoftwareEvidence(),
        agent.RegistrationRequest(
            registration_token="r" * 16, machine=MACHINE, public_key_pem=PEM, proof="AAEC", evidence=TPM
        ),
        agent.RegistrationReply(device_id=ID, organization="Example"),
        agent.TokenRequest(assertion="a.b.c"),
        MAKE,
        MAKE.model_copy(update={"supersedes": "5" * 64}),
        MAKE.model_copy(update={"certificate_type": CertificateType.SSL, "scope": CertificateScope.MACHINE}),
        INSTALL,
        INSTALL.model_copy(update={"certificate_type": CertificateType.SSL, "scope": CertificateScope.MACHINE}),
        agent.Remove(reason="superseded"),
        agent.Remove(reason="superseded", scope=CertificateScope.MACHINE),
        agent.DeviceJob(
            job_id=ID,
            sequence=7,
            order_id=OTHER_ID,
            trace_id=TRACE,
            created_at=AT,
            organization="Example",
            profile="Person",
            payload=INSTALL,
        ),
        agent.CsrReady(csr_pem=CSR, evidence=TPM, duration_ms=12.5),
        agent.Installed(
            location="CurrentUser\\My", provider="tpm2", probe_signature="AAEC", root_trusted=True, duration_ms=3.0
        ),
        agent.Removed(),
        agent.Failed(code="tpm_full", detail="The TPM has no free slot.", advice="Restart."),
        agent.Report(job_id=ID, body=agent.CsrReady(csr_pem=CSR, evidence=agent.SoftwareEvidence())),
        agent.ReportReceipt(order_state="csr_accepted"),
        events.FormPublished(
            form=FORM,
            version=3,
            name="Staff",
            organization="Example",
            certificate_type=CertificateType.CLIENT,
            methods=[identity.SignInMethod.EMAIL],
            email_domains=["example.org"],
            help_text="Ask Grace.",
            help_link="https://help.example.org",
            withdrawn=True,
            organization_ids=[OTHER_ID],
        ),
        LOGIN,
        events.CertificateInstalled(
            email="ada@example.org",
            organization="Example",
            form_name="Staff",
            order_id=ID,
            certificate_type=CertificateType.CLIENT,
            subject="Ada",
            issuer="Example Issuing CA",
            serial="0a",
            not_after=LATER,
            machine="pump-42",
            assurance=AssuranceLevel.CLAIMED,
            installed_at=AT,
            portal_link="https://enroll.example.org/e/x",
            help_link=None,
            language="de",
        ),
        events.CertificateIssued(
            email="ada@example.org",
            organization="Example",
            form_name="Servers",
            order_id=ID,
            certificate_type=CertificateType.SSL,
            subject="www.example.org",
            issuer="Example Issuing CA",
            serial="0b",
            not_after=LATER,
            issued_at=AT,
            portal_link="https://enroll.example.org/e/x",
            help_link=None,
            language="de",
        ),
        events.EnrollmentFailed(
            email="ada@example.org",
            organization="Example",
            form_name="Staff",
            order_id=ID,
            reason="The TPM is full.",
            advice="Restart.",
            failed_at=AT,
            portal_link="https://enroll.example.org/e/x",
            help_link=None,
            language="de",
        ),
        events.OrderApproved(
            email="ada@example.org",
            organization="Example",
            form_name="Staff",
            order_id=ID,
            certificate_type=CertificateType.CLIENT,
            wanted="Ada",
            decided_at=AT,
            portal_link="https://enroll.example.org/e/x",
            help_link="https://help.example.org",
            language="de",
        ),
        events.OrderRejected(
            email="ada@example.org",
            organization="Example",
            form_name="Staff",
            order_id=ID,
            certificate_type=CertificateType.CLIENT,
            wanted="Ada",
            reason="Ask Grace first.",
            decided_at=AT,
            portal_link="https://enroll.example.org/e/x",
            help_link="https://help.example.org",
            language="de",
        ),
        events.CertificateRevoked(
            email="ada@example.org",
            organization="Example",
            form_name="Staff",
            certificate_type=CertificateType.CLIENT,
            subject="Ada",
            serial="0a",
            machine="pump-42",
            reason="it is no longer needed",
            advice="Ask for a new certificate if you need one.",
            revoked_at=AT,
            portal_link="https://enroll.example.org/e/x",
            help_link="https://help.example.org",
            language="de",
        ),
        WAITING,
        events.ApprovalsWaiting(
            email="grace@example.org",
            name="Grace",
            waiting=3,
            fresh=2,
            requests=[WAITING],
            told_at=AT,
            console_link="https://enroll.example.org/console/requests",
            language="de",
        ),
        people.PersonPublished(
            person_id=ID,
            version=4,
            organization_id=OTHER_ID,
            email="ada@example.org",
            name="Ada Lovelace",
            secret_id_hash="$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA",
            removed=True,
        ),
        people.PersonInvited(
            email="ada@example.org",
            name="Ada Lovelace",
            organization="Example",
            form_name="Staff",
            form_url="https://enroll.example.org/e/x",
            needs_secret_id=True,
            needs_access_code=True,
            invited_by="Grace Hopper",
            invited_at=AT,
            help_link="https://help.example.org",
            language="de",
        ),
        people.AdministratorPublished(
            administrator_id=ID,
            version=2,
            email="grace@example.org",
            name="Grace Hopper",
            methods=[people.AdministratorMethod.PASSWORD, people.AdministratorMethod.IDP],
            active=False,
            invited_by="Ada Lovelace",
            invitation=1,
        ),
        people.AdministratorSignInsEnded(administrator_id=ID, ended_at=AT, session=OTHER_ID),
        people.AdministratorSeen(administrator_id=ID, session=OTHER_ID, seen_at=AT),
        people.AdministratorInvited(
            email="grace@example.org",
            name="Grace Hopper",
            link="https://enroll.example.org/auth/administrators/invitations/abc",
            purpose="reset",
            invited_by="Ada Lovelace",
            requested_at=AT,
            expires_at=LATER,
            requested_from="192.0.2.1",
            language="de",
        ),
        people.IdentityProviderPublished(
            identity_provider_id=ID,
            version=5,
            name="Example University",
            kind=people.IdentityProviderKind.SAML,
            metadata_url="https://idp.example.org/metadata",
            metadata_xml="<EntityDescriptor/>",
            issuer="https://idp.example.org",
            client_id="keystead",
            client_secret_name="example-university",
            attributes={"groups": "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"},
            organization_ids=[OTHER_ID],
            for_persons=False,
            for_administrators=True,
            idp_initiated=True,
            withdrawn=True,
        ),
        people.IdentityProviderChecked(
            identity_provider_id=ID,
            version=5,
            state=people.IdentityProviderState.FAILED,
            checked_at=AT,
            entity_id="https://idp.example.org",
            detail="The address answers 404.",
            detail_words={"message": "The address answers {status}.", "many": "", "values": {"status": 404}},
            valid_until=LATER,
        ),
        identity.AdministratorClaims(
            sub=ID,
            email="grace@example.org",
            jti=ID,
            iat=1795435200,
            exp=1795435320,
            method=people.AdministratorMethod.PASSWORD,
            second_factor=True,
            session=OTHER_ID,
        ),
        events.Envelope(
            message_id=ID,
            source="auth",
            destination="notify",
            recorded_at=AT,
            trace_id=TRACE,
            fact=LOGIN.model_dump(mode="json"),
        ),
        identity.IdentityClaims(
            sub="ada@example.org",
            jti=ID,
            iat=1795435200,
            exp=1795435320,
            form=FORM,
            method=identity.SignInMethod.EMAIL,
            name="Ada Lovelace",
            attributes={"groups": ["staff"]},
            identity_provider=OTHER_ID,
            identity_provider_organizations=[OTHER_ID],
            persons=[ID],
        ),
        problems.Problem(
            type="urn:keystead:problem:csr-refused",
            title="Unprocessable Entity",
            status=422,
            detail="The request names another person.",
            advice="Use the order's names.",
            reference=TRACE,
            fields={"profile": "Choose one of these."},
        ),
    ]


def main() -> None:
    """Writes the samples that are missing."""
    SAMPLES.mkdir(exist_ok=True)
    for message in samples():
        text = json.dumps(message.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
        made = sorted(SAMPLES.glob(f"{type(message).__name__}.*json"))
        if not any(path.read_text() == text for path in made):
            path = SAMPLES / f"{type(message).__name__}{f'.{len(made) + 1}' if made else ''}.json"
            path.write_text(text)
            print(f"made {path.name}")


if __name__ == "__main__":
    main()
