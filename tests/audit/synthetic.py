"""Small ELF files for machines that are not here: made of bytes, so that no other compiler is needed."""

from __future__ import annotations

import struct

NAME, SLOTS, DEFINITION, RELA, STRINGS, SYMBOLS, HASH, DYNAMIC, SIZE = (
    *(0x200, 0x240, 0x300, 0x400, 0x500, 0x600, 0x700, 0x780, 0x900),
)  # fmt: skip
_EXEC = 0x1F0
_HEADER = 64


def shared_object(
    *,
    order: str = "<",
    machine: int = 183,
    name: str = "other",
    slots: tuple[tuple[int, int], ...] = ((4, 1),),
    imports: str = "",
) -> bytes:
    """An extension module with a ``PyModuleDef`` whose words are filled in by relocations, at address 0.

    :param slots: of numbers and values; the value of 1 and 2 is a function.
    """
    data = bytearray(SIZE)
    data[:16] = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1]) + bytes(9)
    struct.pack_into(order + "HHIQQQIHHHHHH", data, 16, 3, machine, 1, 0, _HEADER, 0, 0, 64, 56, 2, 64, 0, 0)
    struct.pack_into(order + "IIQQQQQQ", data, _HEADER, 1, 6, 0, 0, 0, SIZE, SIZE, 0x1000)
    struct.pack_into(order + "IIQQQQQQ", data, _HEADER + 56, 2, 6, DYNAMIC, DYNAMIC, DYNAMIC, 0x100, 0x100, 8)
    data[NAME : NAME + len(name) + 1] = name.encode() + b"\0"
    relocations = [(DEFINITION + 56, NAME), (DEFINITION + 88, SLOTS)]
    for place, (number, value) in enumerate(slots):
        at = SLOTS + 16 * place
        struct.pack_into(order + "I", data, at, number)
        if number in (1, 2):
            relocations.append((at + 8, _EXEC))
        else:
            struct.pack_into(order + "Q", data, at + 8, value)
    for place, (where, target) in enumerate(relocations):
        struct.pack_into(order + "QQQ", data, RELA + 24 * place, where, 1027, target)
    names = ["", imports or "PyModuleDef_Init", f"PyInit_{name}"]
    strings = b"".join(one.encode() + b"\0" for one in names)
    data[STRINGS : STRINGS + len(strings)] = strings
    at = 1
    for place, (one, defined) in enumerate(zip(names[1:], (False, True), strict=True), 1):
        section, address = (1, _EXEC) if defined else (0, 0)
        struct.pack_into(order + "IBBHQQ", data, SYMBOLS + 24 * place, at, 0x12, 0, section, address, 0)
        at += len(one) + 1
    struct.pack_into(order + "IIIIII", data, HASH, 1, 3, 1, 0, 2, 0)
    tags = [
        (5, STRINGS),
        (10, len(strings)),
        (6, SYMBOLS),
        (11, 24),
        (4, HASH),
        (7, RELA),
        (8, 24 * len(relocations)),
        (9, 24),
        (0, 0),
    ]
    for place, (tag, value) in enumerate(tags):
        struct.pack_into(order + "QQ", data, DYNAMIC + 16 * place, tag, value)
    return bytes(data)
