"""The JavaScript modules of a page as one script.

A page that lies on a disk may not import the modules beside it. So the modules are joined into one, each after those
that it imports. They import each other by name only: `import { a, b } from "./c.js";`.
"""

from __future__ import annotations

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[\w/]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)
NAME = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) ([A-Za-z_$][\w$]*)", re.MULTILINE)


def join_modules(folder: Path, entry: str = "main.js") -> str:
    """One script of a module and all that it imports.

    Raises:
        ValueError: two modules define the same name, import each other, or import in another way.
    """
    texts: dict[Path, str] = {}
    names: dict[str, str] = {}

    def visit(module: Path, way: tuple[str, ...]) -> None:
        name = module.name
        if name in way:
            raise ValueError(f"{name} imports itself: {' -> '.join((*way, name))}")
        if module in texts:
            return
        text = module.read_text(encoding="utf-8")
        for imported in IMPORT.findall(text):
            visit((module.parent / imported).resolve(), (*way, name))
        plain = EXPORT.sub("", IMPORT.sub("", text))
        if re.search(r"^(?:import|export)\b", plain, re.MULTILINE):
            raise ValueError(f'{name}: must import as in `import {{ a }} from "./b.js";` and export what it defines')
        for defined in NAME.findall(plain):
            if defined in names:
                raise ValueError(f"{defined} is defined in {names[defined]} and in {name}")
            names[defined] = name
        texts[module] = plain

    visit((folder / entry).resolve(), ())
    return "\n".join(f"/* {module.name} */\n{text.strip()}\n" for module, text in texts.items())
