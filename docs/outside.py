"""For mdBook: links that leave docs/ lead to the repository, since the book has only what lies in docs/.

Called by `mdbook build docs` (book.toml), with the book as JSON on standard input; it says the book on standard output.
"""

import json
import re
import sys

OUTSIDE = re.compile(r"\]\(\.\./([^)]*)\)")


def mend(items, repository):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            chapter["content"] = OUTSIDE.sub(rf"]({repository}/blob/main/\1)", chapter["content"])
            mend(chapter["sub_items"], repository)


if sys.argv[1:2] == ["supports"]:
    sys.exit(0)
context, book = json.load(sys.stdin)
mend(book.get("items", book.get("sections", [])), context["config"]["output"]["html"]["git-repository-url"])
json.dump(book, sys.stdout)
