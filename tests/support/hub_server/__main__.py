"""A server that speaks the Hugging Face Hub's HTTP protocol, for tests: `python -m tests.support.hub_server --folder DIR`.

It keeps what the unmodified `huggingface_hub`, `transformers` and `datasets` need of the Hub: models, data sets and
Spaces with their commits, branches, tags and pull requests; uploads with git-LFS; downloads with redirects and ranges;
collections; tokens and private repositories; the rules for cards. File contents lie in `--folder`, everything else in
memory. `/_admin/` makes requests fail and tells what was requested. Error codes and messages follow huggingface.co.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.support.hub_server.handler import Handler, Server
from tests.support.hub_server.hub import Hub


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where file contents are kept")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    arguments = parser.parse_args(argv)
    server = Server(("127.0.0.1", arguments.port), Handler)
    Handler.hub = Hub(arguments.folder)
    Handler.url = f"http://127.0.0.1:{server.server_port}"
    print(Handler.url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
