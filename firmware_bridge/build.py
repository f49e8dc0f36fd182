"""Builds the board's firmware from its sources: shared library, native process, Cortex-M3 image.

Each is built when its sources, its compiler or its flags changed, and carries the SHA-256 of its
own file (PROTOCOL.md, Identity): patched in after linking, computed with the slot as zeros.
`python -m firmware_bridge.build` builds all and prints what of flash and RAM the image takes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from controller.core.errors import BadInput

HERE = Path(__file__).parent
MARK = b"CELLWRIGHT-" + b"IMAGE"
SLOT = 32
BUILD_S = 120
FLASH_BYTES_MAX, RAM_BYTES_MAX = 32 * 1024, 8 * 1024

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
          "-ffp-contract=off")  # fmt: skip
SHARED = (*STRICT, "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
PROCESS = (*STRICT, "-O2", "-D_GNU_SOURCE")
CORTEX_M3 = (*STRICT, "-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft", "-Os", "-ffreestanding",
             "-ffunction-sections", "-fdata-sections", "-fno-common", "-nostartfiles",
             "-specs=nano.specs", "-specs=nosys.specs", "-Wl,--gc-sections",
             "-Wl,--fatal-warnings")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to build: its name, compiler, flags, and the folders of its C files."""

    name: str
    compiler: str
    install: str
    flags: tuple[str, ...]
    folders: tuple[str, ...]
    leave_out: tuple[str, ...] = ()
    script: str = ""

    def sources(self) -> list[Path]:
        """Its C and assembler files, in an order that does not depend on the machine."""
        found = (path for folder in self.folders for path in (HERE / folder).glob("*.[cS]"))
        return sorted(path for path in found if path.name not in self.leave_out)

    def read(self) -> list[Path]:
        """All files that decide what comes out."""
        headers = [path for folder in self.folders for path in (HERE / folder).glob("*.h")]
        return [*self.sources(), *sorted(headers), *([HERE / self.script] if self.script else [])]


FUZZER = ("fuzz.c", "fuzz_requests.c", "fuzz_tables.c")
GCC = "Install a C compiler (Debian: apt install gcc), or set CC to its name."
ARM = "Install it (Debian: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi)."
LIBRARY = Target("board.so", os.environ.get("CC", "cc"), GCC, SHARED, ("core", "native"),
                 leave_out=("main.c", "endpoint.c", *FUZZER))  # fmt: skip
BOARD = Target("board", os.environ.get("CC", "cc"), GCC, PROCESS, ("core", "native", "pins"),
               leave_out=("library.c", *FUZZER))  # fmt: skip
IMAGE = Target("board.elf", "arm-none-eabi-gcc", ARM, CORTEX_M3, ("core", "m3", "pins"),
               script="m3/image.ld")  # fmt: skip
TARGETS = (LIBRARY, BOARD, IMAGE)


def library() -> Path:
    """The core as a shared library; raises BadInput if it cannot be built."""
    return built(LIBRARY)


def process() -> Path:
    """The native process: line and pins on a PTY, TCP or UNIX socket; raises BadInput."""
    return built(BOARD)


def image() -> Path:
    """The Cortex-M3 image for QEMU's lm3s6965evb; raises BadInput saying what to install."""
    return built(IMAGE)


def built(target: Target) -> Path:
    """Where a target stands, built now if it does not; raises BadInput."""
    found = shutil.which(target.compiler)
    if found is None:
        raise BadInput(f"no {target.compiler} found", do=target.install)
    place = folder() / key(target) / target.name
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as work:
            made = Path(work) / target.name
            compile_into(made, target, found)
            patch(made)
            made.replace(place)  # whole or not at all: others may build the same beside us
    return place


def compile_into(made: Path, target: Target, compiler: str, extra: Sequence[str] = ()) -> None:
    """One call of the compiler; raises BadInput with what it said."""
    script = [f"-Wl,-T,{HERE / target.script}"] if target.script else []
    includes = [f"-I{HERE / folder}" for folder in target.folders]
    done = subprocess.run(  # noqa: S603 - our own sources, the compiler of this machine
        [compiler, *target.flags, *extra, *includes, *script, "-o", str(made),
         *map(str, target.sources())],
        capture_output=True, text=True, timeout=BUILD_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BadInput(
            f"the C compiler refused {target.name}:\n{done.stderr[:4000]}",
            where=target.name,
            do="gcc 10 or newer builds it unchanged.",
        )


def patch(path: Path) -> bytes:
    """Puts the digest of a fresh build into its slot and returns it."""
    data = bytearray(path.read_bytes())
    at = slot(data, path)
    data[at : at + SLOT] = hashlib.sha256(data).digest()
    path.write_bytes(data)
    return bytes(data[at : at + SLOT])


def digest(path: Path) -> bytes:
    """The digest in a build; raises BadInput if it is none or not that of its own bytes."""
    data = bytearray(path.read_bytes())
    at = slot(data, path)
    found = bytes(data[at : at + SLOT])
    data[at : at + SLOT] = bytes(SLOT)
    if hashlib.sha256(data).digest() != found:
        raise BadInput("the image was changed after it was built", where=path, do="Build it anew.")
    return found


def slot(data: bytes | bytearray, path: Path) -> int:
    """Where the slot begins; the mark stands in an image exactly once."""
    if data.count(MARK) != 1:
        raise BadInput("not an image of the I/O board", where=path, do="Name a build of it.")
    return data.index(MARK) + len(MARK)


def installed() -> frozenset[bytes]:
    """Digests of the builds of these very sources that this installation made."""
    places = (folder() / key(target) / target.name for target in TARGETS
              if shutil.which(target.compiler) is not None)  # fmt: skip
    return frozenset(digest(place) for place in places if place.exists())


def folder() -> Path:
    """Where builds stand: beside the sources of a working copy, else in the user's cache."""
    tree = HERE.parent
    if (tree / "pyproject.toml").exists() and os.access(tree, os.W_OK):
        return tree / "build" / "firmware"
    cache = os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache"
    return Path(cache) / "cellwright" / "firmware"


def key(target: Target) -> str:
    """Changes when what would come out changes."""
    text = hashlib.sha256(repr((target.flags, version(target.compiler))).encode())
    for path in target.read():
        text.update(f"{path.name}:{path.stat().st_size}\n".encode() + path.read_bytes())
    return text.hexdigest()[:16]


@lru_cache(maxsize=4)
def version(compiler: str) -> str:
    """What a compiler says of itself."""
    done = subprocess.run(  # noqa: S603 - the compiler of this machine
        [compiler, "--version"], capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    return done.stdout.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What an image takes, in bytes: flash (code, constants, initial values) and RAM."""

    flash: int
    ram: int

    def __str__(self) -> str:
        return (f"flash {self.flash} of {FLASH_BYTES_MAX} bytes,"
                f" RAM {self.ram} of {RAM_BYTES_MAX} bytes")  # fmt: skip


def sizes(path: Path) -> Sizes:
    """Sizes of a Cortex-M3 image, its stack reserve with them; raises BadInput without binutils."""
    tool = shutil.which("arm-none-eabi-size")
    if tool is None:
        raise BadInput("no arm-none-eabi-size found", do=ARM)
    done = subprocess.run(  # noqa: S603 - binutils of this machine
        [tool, str(path)], capture_output=True, text=True, timeout=BUILD_S, check=True
    )
    text, data, bss = (int(word) for word in done.stdout.splitlines()[1].split()[:3])
    return Sizes(text + data, data + bss)


def main() -> int:
    """Builds everything and prints it; 2 if something cannot be built."""
    out = sys.stdout.write
    try:
        for make in (library, process, image):
            path = make()
            out(f"{path}\n  digest {digest(path).hex()}\n")
        out(f"  {sizes(image())}\n")
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
