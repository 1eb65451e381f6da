"""Settings: where they come from, which are refused, and that secrets stay hidden."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.secret import Secret, SecretHook, SecretUrl
from kefu.settings import (
    ALIASES,
    FIELDS,
    Settings,
    SettingsError,
    explain,
    load,
    meaning,
    variable,
)
from kefu.settings.words import accepts

LONG_SECRET = "correct-horse-battery-staple-0001"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_nothing_set_gives_a_server_for_this_machine_alone() -> None:
    settings = load({})
    assert settings.host == "127.0.0.1"
    assert settings.database_url is None
    assert settings.allow_guests


def test_numbers_truths_and_lists_are_read_from_text() -> None:
    settings = load(
        {
            "KEFU_PORT": "0",
            "KEFU_DEMO": "true",
            "KEFU_SHUTDOWN_TIMEOUT_S": "2.5",
            "KEFU_ALLOWED_ORIGINS": "https://shop.example, http://localhost:5173",
        }
    )
    assert settings.port == 0
    assert settings.demo
    assert settings.shutdown_timeout_s == 2.5
    assert settings.allowed_origins == ("https://shop.example", "http://localhost:5173")


def test_the_command_line_beats_the_environment_beats_the_files(tmp_path: Path) -> None:
    env_file = written(tmp_path, "env", "KEFU_PORT=3\nKEFU_DEMO=true\nKEFU_MAX_CONNECTIONS=300\n")
    toml_file = written(tmp_path, "kefu.toml", 'port = 4\nhost = "0.0.0.0"\nmax_connections = 4\n')
    found = explain(
        {"KEFU_PORT": "2", "KEFU_DEMO": "false"},
        env_file=env_file,
        toml_file=toml_file,
        overrides={"port": 1, "host": None},
    )
    assert found.settings is not None
    assert found.settings.port == 1
    assert found.settings.demo is False
    assert found.settings.max_connections == 300
    assert found.settings.host == "0.0.0.0"
    source_by_name = {entry.name: entry.source for entry in found.entries}
    assert source_by_name["port"] == "the command line"
    assert source_by_name["demo"] == "the environment"
    assert source_by_name["max_connections"] == str(env_file)
    assert source_by_name["host"] == str(toml_file)
    assert source_by_name["log_level"] == "default"


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_the_names_other_documents_use_mean_the_same(alias: str, name: str) -> None:
    value = a_value_of(name)
    (one,) = (entry for entry in explain({alias: value}).entries if entry.name == name)
    (other,) = (entry for entry in explain({variable(name): value}).entries if entry.name == name)
    assert one.problem is None
    assert one.source == "the environment"
    assert str(one) == str(other)
    assert str(one.value) != str(FIELDS[name].default)


def a_value_of(name: str) -> str:
    """A value that a setting takes and that is not its default."""
    match name, accepts(FIELDS[name].type):
        case "database_url", _:
            return "postgresql://db/kefu"
        case "redis_url", _:
            return "redis://cache"
        case "coze_oauth_private_key", _:
            return PEM
        case (("human_shift_start" | "human_shift_end"), _):
            return "08:30"
        case "timezone", _:
            return "Europe/Paris"
        case "holidays", _:
            return "2027-10-01"
        case (("email_from" | "email_recipients"), _):
            return "desk@shop.example"
        case _, "true or false":
            return str(not FIELDS[name].default).lower()
        case _, takes if takes.startswith("a whole number from "):
            return takes.rpartition(" ")[2]
        case _, takes if takes.startswith("a number from "):
            return takes.rpartition(" ")[2]
        case _, takes if " or " in takes:
            first, _, last = takes.partition(" or ")
            return last if first == FIELDS[name].default else first
        case _ if name.endswith(("_url", "_base")):
            return "https://there.example/hook"
    return LONG_SECRET


def test_nothing_set_is_the_same_as_every_default() -> None:
    assert load({}) == Settings()
    assert load({}).bot.ai_provider == "knowledge"


def test_an_empty_value_counts_as_not_set() -> None:
    assert load({"KEFU_DATABASE_URL": "", "KEFU_PORT": ""}) == load({})


def test_a_misspelt_name_stops_the_start_and_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"KEFU_PROT .* did you mean KEFU_PORT"):
        load({"KEFU_PROT": "1"})


def test_a_misspelt_name_in_the_toml_file_stops_the_start(tmp_path: Path) -> None:
    toml_file = written(tmp_path, "kefu.toml", "prot = 1\n")
    with pytest.raises(SettingsError, match=r"prot in .*kefu\.toml .* did you mean port"):
        load({}, toml_file=toml_file)


def test_variables_of_other_programs_are_left_alone() -> None:
    assert load({"PATH": "/bin", "KEFUX": "1", "PGHOST": "db"}) == load({})


def test_two_names_of_one_setting_must_agree() -> None:
    assert load({"KEFU_PORT": "7", "PORT": "7"}).port == 7
    with pytest.raises(SettingsError, match=r"KEFU_PORT and PORT .* differ"):
        load({"KEFU_PORT": "7", "PORT": "8"})


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("KEFU_PORT", "65536", "a whole number from 0 to 65535"),
        ("KEFU_PORT", "http", "a whole number from 0 to 65535"),
        ("KEFU_DEMO", "maybe", "true or false"),
        ("KEFU_AI_PROVIDER", "cozy", "coze or dashscope or knowledge or none or openai"),
        ("KEFU_LOG_FORMAT", "xml", "auto or json or text"),
        ("KEFU_HOST", "h" * 256, "at most 255 characters"),
        ("KEFU_JWT_SECRET", "k" * 31, "shorter than 32 bytes"),
        ("KEFU_OPS_TOKEN", "k", "shorter than 32 bytes"),
        ("KEFU_DATABASE_URL", "mysql://db/shop", "must begin with postgresql://"),
        ("KEFU_REDIS_URL", "localhost:6379", "must begin with redis://"),
        ("KEFU_PUBLIC_URL", "shop.example", "must begin with https://"),
        ("KEFU_ALLOWED_ORIGINS", "*", "https://host"),
        ("KEFU_ALLOWED_ORIGINS", "https://shop.example/path", "https://host"),
        ("KEFU_ALLOWED_ORIGINS", "https://user@shop.example", "https://host"),
        ("KEFU_ALLOWED_ORIGINS", "https://shop.example:port", "https://host"),
        ("KEFU_BOT_NAME", "n" * 101, "text of 1 to 100 characters"),
        ("KEFU_BOT_ICON_URL", "javascript:alert(1)", "must begin with https://"),
        ("KEFU_COZE_TOKEN_TTL_S", "86400", "from 60 to 86399"),
        ("KEFU_COZE_API_BASE", "api.coze.cn", "https://host/path"),
        ("KEFU_OPENAI_BASE_URL", "https:///v1", "https://host/path"),
        ("KEFU_OPENAI_BASE_URL", "https://host/v1?key=1", "https://host/path"),
        ("KEFU_DASHSCOPE_API_BASE", "https://ho st/v1", "https://host/path"),
        ("COZE_OAUTH_PRIVATE_KEY", "/etc/key.pem", "PEM text"),
        ("OPENAI_API_KEY", "two words", "without spaces"),
        ("DASHSCOPE_API_KEY", "钥匙", "without spaces"),
        ("REGULATOR_KEYWORDS", "人工," * 201, "a list of at most 200"),
        ("REGULATOR_FAIL_THRESHOLD", "0", "from 1 to 20"),
        ("KEFU_PENDING_TIMEOUT_S", "29", "from 30 to 86400"),
        ("HUMAN_SHIFT_START", "24:00", "from 00:00 to 23:59"),
        ("HUMAN_SHIFT_START", "9:00", "HH:MM"),
        ("HUMAN_SHIFT_END", "24:01", "from 00:00 to 24:00"),
        ("HUMAN_SHIFT_END", "18:60", "HH:MM"),
        ("TIMEZONE", "Asia/Nowhere", "no such time zone"),
        ("TIMEZONE", "../../etc/passwd", "no such time zone"),
        ("TIMEZONE", "Asia", "no such time zone"),
        ("HOLIDAYS", "2027-10-01,2027-02-29", "'2027-02-29' is no day"),
        ("HOLIDAYS", "20271001", "YYYY-MM-DD"),
        ("HOLIDAYS", "2027-W01-1", "YYYY-MM-DD"),
        ("EMAIL_FROM", "Shop <desk@shop.example>", "name@host"),
        ("EMAIL_RECIPIENTS", "a@shop.example,b", "name@host"),
        ("SLACK_WEBHOOK_URL", "hooks.slack.com/services/T/B", "https:// and a host"),
        ("FEISHU_WEBHOOK_URL", "https://", "https:// and a host"),
        ("ALERT_ERROR_RATE", "1.01", "a number from 0 to 1"),
        ("MAIL_LOCALE", "fr", "en or zh-CN or zh-TW"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_what_it_takes(
    key: str, value: str, says: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load({key: value})
    assert key in str(refused.value)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_first_problem_is_told_and_the_others_are_counted() -> None:
    with pytest.raises(SettingsError, match=r"\(1 more: run `kefu config check`\)"):
        load({"KEFU_PORT": "x", "KEFU_DEMO": "x"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("KEFU_JWT_SECRET", "canary-9f3"),
        ("KEFU_REDIS_URL", "canary-9f3"),
        ("OPENAI_API_KEY", "canary-9f3 x"),
        ("COZE_OAUTH_PRIVATE_KEY", "canary-9f3"),
        ("WECOM_WEBHOOK_URL", "canary-9f3"),
        ("OPENAI_BASE_URL", "https://user:canary-9f3@host/v1"),
    ],
)
def test_a_refused_secret_is_not_repeated(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({key: value})
    assert key in str(refused.value)
    assert "canary-9f3" not in str(refused.value)


def test_settings_print_without_their_secrets() -> None:
    settings = load(
        {
            "KEFU_JWT_SECRET": LONG_SECRET,
            "KEFU_DATABASE_URL": f"postgresql://shop:{LONG_SECRET}@db:5432/kefu?password=x9",
        }
    )
    printed = f"{settings} {settings!r}"
    assert LONG_SECRET not in printed
    assert "x9" not in printed
    assert "postgresql://db:5432/kefu" in printed
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.reveal() == LONG_SECRET


@given(st.text(min_size=1))
def test_a_secret_never_shows_in_its_text(value: str) -> None:
    assert str(Secret(value)) == repr(Secret(value)) == "***"


@given(st.from_regex(r"[a-z0-9]{12,20}", fullmatch=True), st.booleans())
def test_a_robot_s_address_shows_its_host_alone(key: str, broken: bool) -> None:
    host = "[hooks" if broken else "hooks.example"
    for address in (f"https://{host}/services/{key}", f"https://{host}/send?key={key}"):
        assert str(SecretHook(address)) == ("***" if broken else "https://hooks.example/***")
    assert str(SecretHook(key)) == "***"


@given(st.from_regex(r"[a-z0-9]{12,20}", fullmatch=True), st.booleans())
def test_an_address_never_shows_its_password(password: str, broken: bool) -> None:
    port = "notaport" if broken else "5432"
    assert password not in str(SecretUrl(f"postgresql://kefu:{password}@db.example:{port}/kefu"))


def test_an_env_file_is_read_as_shells_write_it(tmp_path: Path) -> None:
    env_file = written(
        tmp_path,
        "env",
        "# comment\n\nexport KEFU_PORT=81 # why\nKEFU_HOST='::1'\nKEFU_PUBLIC_URL=\"https://a#b\"\n",
    )
    settings = load({}, env_file=env_file)
    assert (settings.port, settings.host, settings.public_url) == (81, "::1", "https://a#b")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("env", "KEFU_PORT\n", "line 1 is not NAME=value"),
        ("kefu.toml", "port = \n", "is not valid TOML"),
        ("kefu.toml", "port = '80'\n", None),
        ("kefu.toml", "host = 80\n", "it takes text"),
        ("kefu.toml", "data_dir = 80\n", "it takes a path"),
        ("env", "#" * 70_000, "larger than"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named(
    tmp_path: Path, name: str, text: str, says: str | None
) -> None:
    file = written(tmp_path, name, text)
    env_file, toml_file = (file, None) if name == "env" else (None, file)
    if says is None:
        assert load({}, env_file=env_file, toml_file=toml_file).port == 80
        return
    with pytest.raises(SettingsError) as refused:
        load({}, env_file=env_file, toml_file=toml_file)
    assert says in str(refused.value)
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing cannot be read: No such file"):
        load({}, env_file=tmp_path / "nothing")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load({}, toml_file=binary)


def test_every_setting_has_a_meaning_and_a_name_of_its_own() -> None:
    for name in FIELDS:
        assert meaning(name).endswith(".")
        assert variable(name).removeprefix("KEFU_").lower() == name
