"""html2text's Markdown: runs in the peers' environment. JSON lines of HTML in, JSON lines of Markdown out."""

import json
import sys

import html2text


def main() -> None:
    for line in sys.stdin:
        writer = html2text.HTML2Text()
        writer.body_width = 0
        writer.ignore_links = True
        writer.ignore_images = True
        writer.mark_code = False
        writer.pad_tables = False
        print(json.dumps(writer.handle(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
