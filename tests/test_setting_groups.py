"""Settings in groups: one flat list of names outside, and which settings need each other."""

from datetime import date, datetime, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.settings import ALIASES, FIELDS, GROUPS, Settings, SettingsError, explain, load
from kefu.settings.names import NAMES_BY_GROUP, SERVER_NAMES

PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"
COZE = {
    "COZE_WORKFLOW_ID": "73",
    "COZE_APP_ID": "74",
    "COZE_OAUTH_CLIENT_ID": "75",
    "COZE_OAUTH_PUBLIC_KEY_ID": "gdehvaDegW0",
    "COZE_OAUTH_PRIVATE_KEY": PEM,
}


def test_the_names_of_the_bot_before_are_its_names_still() -> None:
    assert load({"COZE_BOT_NAME": "小助手"}).bot.bot_name == "小助手"
    assert "BOT_NAME" not in ALIASES
    assert load({"BOT_NAME": "other program"}) == load({})


def test_a_group_is_outside_like_any_other_setting(tmp_path: Path) -> None:
    toml_file = tmp_path / "kefu.toml"
    toml_file.write_text('ai_provider = "none"\nholidays = ["2027-01-01"]\nport = 81\n')
    settings = load({"SMTP_PORT": "25", "KEFU_AGENT_GONE_TIMEOUT_S": "90"}, toml_file=toml_file)
    assert settings.bot.ai_provider == "none"
    assert settings.shifts.holidays == ("2027-01-01",)
    assert settings.notifications.smtp_port == 25
    assert settings.escalation.agent_gone_timeout_s == 90
    assert settings.port == 81
    grouped = tmp_path / "grouped.toml"
    grouped.write_text('[bot]\nai_provider = "none"\n')
    with pytest.raises(SettingsError, match=r"bot in .* is no setting"):
        load({}, toml_file=grouped)


def test_every_setting_is_in_one_group() -> None:
    names = [*SERVER_NAMES, *(name for group in NAMES_BY_GROUP.values() for name in group)]
    assert sorted(names) == sorted(FIELDS)
    assert [name for name in Settings.__struct_fields__ if name not in FIELDS] == list(GROUPS)


def test_a_list_may_be_written_with_chinese_commas_and_may_be_empty() -> None:
    words = {"REGULATOR_KEYWORDS": "人工，human agent ,, 投诉", "REGULATOR_AI_FAIL_KEYWORDS": ","}
    escalation = load(words).escalation
    assert escalation.regulator_keywords == ("人工", "human agent", "投诉")
    assert escalation.regulator_ai_fail_keywords == ()


@pytest.mark.parametrize("absent", COZE)
def test_a_provider_without_its_account_stops_the_start(absent: str) -> None:
    given = {"AI_PROVIDER": "coze", **COZE}
    assert load(given).bot.coze_app_id == "74"
    with pytest.raises(SettingsError) as refused:
        load({**given, absent: ""})
    assert str(refused.value) == f"KEFU_AI_PROVIDER is coze, which needs KEFU_{absent}: not set."


def test_all_that_a_provider_needs_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"AI_PROVIDER": "coze"})
    assert [name for name in COZE if f"KEFU_{name}" not in str(refused.value)] == []


def test_a_key_in_a_file_is_a_key() -> None:
    without_key = {"AI_PROVIDER": "coze", **COZE, "COZE_OAUTH_PRIVATE_KEY": ""}
    settings = load({**without_key, "COZE_OAUTH_PRIVATE_KEY_FILE": "/run/secrets/coze.pem"})
    assert settings.bot.coze_oauth_private_key_file == Path("/run/secrets/coze.pem")


def test_an_api_wants_its_key_unless_it_is_one_of_your_own() -> None:
    for provider in ("dashscope", "openai"):
        with pytest.raises(SettingsError, match=f"needs KEFU_{provider.upper()}_API_KEY"):
            load({"AI_PROVIDER": provider})
        load({"AI_PROVIDER": provider, f"{provider.upper()}_API_KEY": "sk-1"})
    load({"AI_PROVIDER": "openai", "OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"})
    with pytest.raises(SettingsError, match="needs KEFU_OPENAI_API_KEY"):
        load({"AI_PROVIDER": "openai", "OPENAI_BASE_URL": "https://API.openai.com/v2"})


def test_what_the_chosen_provider_does_not_need_is_not_asked_for() -> None:
    for provider in ("knowledge", "none"):
        assert load({"AI_PROVIDER": provider}).bot.ai_provider == provider


def test_a_shift_has_a_start_and_an_end() -> None:
    shifts = load({"HUMAN_SHIFT_START": "18:00", "HUMAN_SHIFT_END": "24:00"}).shifts
    assert (shifts.human_shift_start, shifts.human_shift_end) == ("18:00", "24:00")
    with pytest.raises(SettingsError, match="KEFU_HUMAN_SHIFT_START is set without KEFU_HUMAN_"):
        load({"HUMAN_SHIFT_START": "18:00"})
    with pytest.raises(SettingsError, match="KEFU_HUMAN_SHIFT_END is set without KEFU_HUMAN_"):
        load({"HUMAN_SHIFT_END": "18:00"})


def test_a_contradiction_is_told_beside_a_misspelt_name() -> None:
    found = explain({"KEFU_PROT": "1", "AI_PROVIDER": "openai", "HUMAN_SHIFT_END": "18:00"})
    assert found.settings is None
    assert len(found.problems) == 3


@given(st.times())
def test_every_minute_of_a_day_is_a_time_of_a_shift(moment: time) -> None:
    written_as = f"{moment:%H:%M}"
    settings = load({"HUMAN_SHIFT_START": written_as, "HUMAN_SHIFT_END": written_as})
    assert settings.shifts.human_shift_start == written_as


@given(st.text(max_size=12))
def test_what_is_no_time_of_a_day_is_refused(text: str) -> None:
    wrong = explain({"HUMAN_SHIFT_START": text}).entries
    (entry,) = (entry for entry in wrong if entry.name == "human_shift_start")
    try:
        is_time = datetime.strptime(text, "%H:%M").strftime("%H:%M") == text
    except ValueError:
        is_time = False
    assert (entry.problem is None) == (is_time or text == "")


@given(st.lists(st.dates(), max_size=5))
def test_every_day_of_the_calendar_may_be_a_holiday(days: list[date]) -> None:
    written_as = [day.isoformat() for day in days]
    assert list(load({"HOLIDAYS": ",".join(written_as)}).shifts.holidays) == written_as
