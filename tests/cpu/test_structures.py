"""The structures that Python passes are those that the compiled functions read."""

import ctypes
import subprocess

import pytest

from lgn_hf.cpu.structures import NUMBER_TYPES, Shape
from tests.cpu.conftest import compile_program, needs_compiler

pytestmark = needs_compiler

FLOAT, DOUBLE = NUMBER_TYPES["torch.float32"], NUMBER_TYPES["torch.float64"]
STRUCTURES = {
    "Shape": Shape,
    "Forward<float, float>": FLOAT.forward,
    "Backward<float, float>": FLOAT.backward,
    "Forward<double, double>": DOUBLE.forward,
    "Backward<double, double>": DOUBLE.backward,
    "Forward<float, uint16_t>": NUMBER_TYPES["mixed"].forward,
    "Backward<float, uint16_t>": NUMBER_TYPES["mixed"].backward,
}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What the compiler says: (structure, its size, 0), and (structure, place, size) of each field that Python names."""
    statements = []
    for number, (name, structure) in enumerate(STRUCTURES.items()):
        statements.append(f'using S{number} = {name}; printf("{number} %zu 0\\n", sizeof(S{number}));')
        statements += [
            f'printf("{number} %zu %zu\\n", offsetof(S{number}, {field[0]}), sizeof(S{number}::{field[0]}));'
            for field in structure._fields_
        ]
    program = tmp_path_factory.mktemp("structures") / "program.cpp"
    program.write_text(
        "#include <cstddef>\n#include <cstdio>\n#include <arguments.h>\nusing namespace lgn_hf;\n"
        f"int main() {{ {' '.join(statements)} }}\n"
    )
    executable = compile_program(program, program.with_suffix(""))
    lines = subprocess.run([executable], capture_output=True, text=True, check=True).stdout.splitlines()
    return [tuple(map(int, line.split())) for line in lines]


@pytest.mark.parametrize("name", STRUCTURES)
def test_fields_lie_where_the_compiler_puts_them(name, read):
    number, structure = list(STRUCTURES).index(name), STRUCTURES[name]
    fields = [
        (number, getattr(structure, field[0]).offset, getattr(structure, field[0]).size)
        for field in structure._fields_
    ]
    assert [line for line in read if line[0] == number] == [(number, ctypes.sizeof(structure), 0), *fields]
