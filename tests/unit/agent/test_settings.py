from __future__ import annotations

from pathlib import Path

import pytest

from keystead_agent.errors import ExitCode, PolicyRefused, SettingsInvalid
from keystead_agent.settings import Settings, load_settings, origin_of
from keystead_agent.system import system


def test_defaults_need_nothing_set() -> None:
    settings = load_settings({"HOME": "/home/alice"}, for_computer=False)
    assert settings.state_dir == Path("/home/alice/.local/share/keystead")
    assert settings.tcti == "device:/dev/tpmrm0"
    assert settings.servers == ()
    assert not settings.allow_software_key


def test_root_keeps_its_state_under_var() -> None:
    assert load_settings({}, for_computer=True).state_dir == Path("/var/lib/keystead")


def test_all_mistakes_are_listed_at_once() -> None:
    environ = {
        "KEYSTEAD_AGENT_STATE_DIR": "relative",
        "KEYSTEAD_AGENT_SERVERS": "http://example.org",
        "KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY": "perhaps",
        "KEYSTEAD_AGENT_COLOUR": "blue",
        "KEYSTEAD_AGENT_CONFIG": "/nowhere/agent.toml",
    }
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(environ, for_computer=False)
    for mistake in (
        "KEYSTEAD_AGENT_STATE_DIR: must be an absolute path",
        "KEYSTEAD_AGENT_SERVERS: ",
        "KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY: ",
        "KEYSTEAD_AGENT_COLOUR: there is no such setting",
        "/nowhere/agent.toml: no such file",
    ):
        assert mistake in caught.value.detail
    assert caught.value.exit_code == ExitCode.USAGE


def test_the_file_is_read_and_a_variable_wins_over_it(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('tcti = "swtpm:port=1"\nstate_dir = "/srv/one"\n')
    environ = {"KEYSTEAD_AGENT_CONFIG": str(file), "KEYSTEAD_AGENT_STATE_DIR": "/srv/two"}
    settings = load_settings(environ, for_computer=False)
    assert settings.tcti == "swtpm:port=1"
    assert settings.state_dir == Path("/srv/two")


def test_a_policy_in_the_file_cannot_be_loosened_by_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('servers = ["https://enroll.example.org"]\n')
    environ = {"KEYSTEAD_AGENT_CONFIG": str(file), "KEYSTEAD_AGENT_SERVERS": "https://evil.example"}
    with pytest.raises(SettingsInvalid, match="looser than the policy"):
        load_settings(environ, for_computer=False)


POLICY = 'servers = ["https://a.example", "https://b.example"]\nallow_software_key = false\n'


def under_policy(folder: Path, own: str = "", **environ: str) -> Settings:
    """The settings where an administrator wrote POLICY and somebody else names a file with `own`."""
    (folder / "policy.toml").write_text(POLICY)
    (folder / "own.toml").write_text(own)
    named = {"KEYSTEAD_AGENT_CONFIG": str(folder / "own.toml")}
    return load_settings(named | environ, for_computer=False, default_file=folder / "policy.toml")


def test_naming_another_file_does_not_lift_the_default_files_policy(tmp_path: Path) -> None:
    settings = under_policy(tmp_path, 'tcti = "swtpm:port=1"')
    assert settings.tcti == "swtpm:port=1"
    assert settings.servers == ("https://a.example", "https://b.example")
    for own, environ in (
        ('servers = ["https://evil.example"]', {}),
        ("servers = []", {}),
        ("allow_software_key = true", {}),
        ("", {"KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY": "true"}),
        ("", {"KEYSTEAD_AGENT_SERVERS": ""}),
        ('servers = ["https://a.example"]', {"KEYSTEAD_AGENT_SERVERS": "https://b.example"}),
    ):
        with pytest.raises(SettingsInvalid, match="looser than the policy"):
            under_policy(tmp_path, own, **environ)


def test_a_policy_can_be_made_stricter(tmp_path: Path) -> None:
    assert under_policy(tmp_path, 'servers = ["https://b.example"]').servers == ("https://b.example",)
    assert under_policy(tmp_path, KEYSTEAD_AGENT_SERVERS="https://a.example").servers == ("https://a.example",)
    file = tmp_path / "loose.toml"
    file.write_text("allow_software_key = true")
    environ = {"KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY": "false"}
    assert not load_settings(environ, for_computer=False, default_file=file).allow_software_key


def test_what_policy_keeps_after_a_renewal_no_variable_removes(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("remove_superseded = false")
    assert not load_settings({}, for_computer=False, default_file=file).remove_superseded
    with pytest.raises(SettingsInvalid, match="looser than the policy"):
        load_settings({"KEYSTEAD_AGENT_REMOVE_SUPERSEDED": "true"}, for_computer=False, default_file=file)


def test_what_the_policy_does_not_speak_of_may_be_set(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('servers = ["https://a.example"]')
    environ = {"KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY": "true"}
    assert load_settings(environ, for_computer=False, default_file=file).allow_software_key


def test_a_policy_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").mkdir()
    with pytest.raises(SettingsInvalid, match=r"policy\.toml"):
        load_settings({}, for_computer=False, default_file=tmp_path / "policy.toml")


def test_a_policy_of_which_nobody_can_tell_who_wrote_it_stops_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Access is denied", str(path))

    (tmp_path / "agent.toml").write_text('servers = ["https://evil.example"]')
    monkeypatch.setattr(system, "foreign_hand", refuse)
    with pytest.raises(SettingsInvalid, match="cannot be told: Access is denied"):
        load_settings({}, for_computer=False, default_file=tmp_path / "agent.toml")


def test_a_folder_of_somebody_else_is_not_used_before_they_put_a_policy_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hand(path: Path) -> str:
        path.stat()
        return "mallory"

    monkeypatch.setattr(system, "foreign_hand", hand)
    with pytest.raises(SettingsInvalid, match="mallory, who is no administrator"):
        load_settings({}, for_computer=False, default_file=tmp_path / "agent.toml")
    load_settings({}, for_computer=False, default_file=tmp_path / "nowhere/agent.toml")


def test_a_broken_file_and_an_unknown_key_are_named(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("servers = [")
    with pytest.raises(SettingsInvalid, match=r"agent\.toml"):
        load_settings({"KEYSTEAD_AGENT_CONFIG": str(file)}, for_computer=False)
    file.write_text("server = 'x'\n")
    with pytest.raises(SettingsInvalid, match=r"agent\.toml: server"):
        load_settings({"KEYSTEAD_AGENT_CONFIG": str(file)}, for_computer=False)


def test_a_server_outside_the_list_is_refused_and_an_empty_list_refuses_none() -> None:
    listed = load_settings({"KEYSTEAD_AGENT_SERVERS": "https://a.example, https://b.example:8443/"}, for_computer=False)
    listed.require_allowed("https://b.example:8443")
    with pytest.raises(PolicyRefused) as caught:
        listed.require_allowed("https://c.example")
    assert caught.value.exit_code == ExitCode.REFUSED
    load_settings({}, for_computer=False).require_allowed("https://c.example")


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://Example.org/", "https://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_origins_have_one_spelling(given: str, origin: str) -> None:
    assert origin_of(given) == origin


def test_a_name_that_looks_like_another_shows_that_it_is_not() -> None:
    assert origin_of("https://enroll.ex\N{CYRILLIC SMALL LETTER A}mple.org") == "https://enroll.xn--exmple-4nf.org"


@pytest.mark.parametrize(
    "given",
    ["https://.", "https://enroll..example.org", f"https://{'a' * 300}", "https://a\N{RIGHT-TO-LEFT OVERRIDE}b"],
)
def test_what_is_no_host_name_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        origin_of(given)


@pytest.mark.parametrize(
    "given",
    ["http://example.org", "ftp://example.org", "https://u@example.org", "https://example.org/x", "example.org"],
)
def test_what_is_not_a_safe_origin_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="example"):
        origin_of(given)


def test_policy_that_windows_distributes_can_only_be_made_stricter(tmp_path: Path) -> None:
    distributed = {"servers": ["https://a.example"], "allow_software_key": 0}

    def load(environ: dict[str, str]) -> Settings:
        return load_settings(environ, for_computer=False, default_file=tmp_path / "none", distributed=distributed)

    assert load({}).servers == ("https://a.example",)
    for variable, value in (("SERVERS", "https://b.example"), ("ALLOW_SOFTWARE_KEY", "true")):
        with pytest.raises(SettingsInvalid, match="looser than the policy"):
            load({f"KEYSTEAD_AGENT_{variable}": value})
