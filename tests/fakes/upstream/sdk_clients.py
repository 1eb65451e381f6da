"""One turn through a provider's own client, run by `conformance.py` in an environment that has it.

Prints the answer, or the name and the code of the failure.
"""

import importlib
import sys
from pathlib import Path

CLIENT_ID, KEY_ID = "1100000000001", "the-fingerprint-of-the-key"
WORKFLOW_ID, APP_ID = "7350000000000000001", "7442000000000000001"
API_KEY = "sk-of-the-shop"
QUESTION = {"role": "user", "content": "怎么退货"}


def coze(address: str, key: Path) -> str:
    cozepy = importlib.import_module("cozepy")
    app = cozepy.JWTOAuthApp(
        client_id=CLIENT_ID,
        private_key=key.read_text(),
        public_key_id=KEY_ID,
        base_url=address,
    )
    token = app.get_access_token(ttl=3600, session_name="customer-1")
    client = cozepy.Coze(auth=cozepy.TokenAuth(token.access_token), base_url=address)
    conversation = client.conversations.create()
    try:
        stream = client.workflows.chat.stream(
            workflow_id=WORKFLOW_ID,
            app_id=APP_ID,
            conversation_id=conversation.id,
            additional_messages=[cozepy.Message.build_user_question_text("怎么退货")],
            parameters={"USER_INPUT": "怎么退货"},
        )
        delta = cozepy.ChatEventType.CONVERSATION_MESSAGE_DELTA
        return "".join(event.message.content for event in stream if event.event == delta)
    except cozepy.CozeAPIError as error:
        return f"CozeAPIError {error.code}"


def openai(address: str, _key: Path) -> str:
    library = importlib.import_module("openai")
    client = library.OpenAI(base_url=f"{address}/v1", api_key=API_KEY, max_retries=0)
    try:
        stream = client.chat.completions.create(
            model="m",
            messages=[QUESTION],
            stream=True,
            stream_options={"include_usage": True},
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    except library.APIStatusError as error:
        return f"{type(error).__name__} {error.status_code}"


def dashscope(address: str, _key: Path) -> str:
    library = importlib.import_module("dashscope")
    library.base_http_api_url = f"{address}/api/v1"
    answers = library.Generation.call(
        model="qwen-turbo",
        api_key=API_KEY,
        messages=[QUESTION],
        result_format="message",
        stream=True,
        incremental_output=True,
    )
    text = ""
    for answer in answers:
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.code}"
        text += answer.output.choices[0].message.content
    return text


def dashscope_whole(address: str, result_format: str) -> str:
    library = importlib.import_module("dashscope")
    library.base_http_api_url = f"{address}/api/v1"
    answer = library.Generation.call(
        model="qwen-turbo", api_key=API_KEY, messages=[QUESTION], result_format=result_format
    )
    if result_format == "text":
        return str(answer.output.text)
    return str(answer.output.choices[0].message.content)


def main() -> None:
    client, address, key = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    match client:
        case "coze":
            said = coze(address, key)
        case "openai":
            said = openai(address, key)
        case "dashscope":
            said = dashscope(address, key)
        case _:
            said = dashscope_whole(address, client.removeprefix("dashscope-"))
    sys.stdout.write(said)


main()
