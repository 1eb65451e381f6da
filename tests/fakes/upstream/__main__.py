"""The upstream for a benchmark: `python -m tests.fakes.upstream --port 9000 --tokens-per-s 30`.

Prints nothing but its address. The key of the Coze app is made anew; `--key FILE` writes it down.
"""

import argparse
from pathlib import Path

import uvicorn

from tests.fakes.upstream.behaviour import Behaviour
from tests.fakes.upstream.keys import private_pem
from tests.fakes.upstream.providers import Providers


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.upstream")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--tokens", type=int, default=60, help="pieces of an answer")
    parser.add_argument("--tokens-per-s", type=float, help="not given: all at once")
    parser.add_argument("--key", type=Path, help="where to write the private key of the Coze app")
    args = parser.parse_args()
    if args.key is not None:
        args.key.write_text(private_pem())
    providers = Providers()
    pieces = tuple(f"词{number} " for number in range(args.tokens))
    behaviour = Behaviour(pieces=pieces, tokens_per_s=args.tokens_per_s)
    providers.upstream.always("chat", behaviour)
    providers.upstream.always("dashscope", behaviour)
    providers.upstream.always("openai", behaviour)
    uvicorn.run(providers.app, host="127.0.0.1", port=args.port, log_level="warning")


main()
