"""The JavaScript modules of a page as one script.

A page that lies on a disk may not import the modules beside it. So the modules are joined into one, each after those
that it imports. They import each other by name only: `import { a, b } from "./c.js";`.
"""

from __future__ import annotations

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)
NAME = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) ([A-Za-z_$][\w$]*)", re.MULTILINE)


def join_modules(folder: Path, entry: str = "main.js") -> str:
    """One script of a module and all that it imports.

    Raises:
        ValueError: two modules define the same name, import each other, or import in another way.
    """
    texts: dict[str, str] = {}
    names: dict[str, str] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"{name} imports itself: {' -> '.join((*path, name))}")
        if name in texts:
            return
        text = (folder / name).read_text(encoding="utf-8")
        for imported in IMPORT.findall(text):
            visit(imported, (*path, name))
        plain = EXPORT.sub("", IMPORT.sub("", text))
        if re.search(r"^(?:import|export)\b", plain, re.MULTILINE):
            raise ValueError(f'{name}: must import as in `import {{ a }} from "./b.js";` and export what it defines')
        for defined in NAME.findall(plain):
            if defined in names:
                raise ValueError(f"{defined} is defined in {names[defined]} and in {name}")
            names[defined] = name
        texts[name] = plain

    visit(entry, ())
    return "\n".join(f"/* {name} */\n{text.strip()}\n" for name, text in texts.items())
