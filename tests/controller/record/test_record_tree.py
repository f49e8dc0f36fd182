"""The tree against RFC 6962 as it is written, and its published vectors."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.record.tree import EMPTY_ROOT, Tree, consistency_holds, inclusion_holds, leaf_hash

# The leaves and roots of the certificate-transparency reference tests.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
LEAVES += ["606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    pair = naive_root(leaves[:k]) + naive_root(leaves[k:])
    return hashlib.sha256(b"\x01" + pair).digest()


def split(n: int) -> int:
    """The largest power of two below n."""
    return 1 << (n - 1).bit_length() - 1


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*path(m - k, leaves[k:]), naive_root(leaves[:k])]


def proof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*proof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*proof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def root_of(leaves: list[bytes]) -> bytes:
    """The growing tree's root."""
    tree = Tree()
    for leaf in leaves:
        tree.push(leaf_hash(leaf))
    return tree.root()


def test_the_published_vectors_hold() -> None:
    leaves = [bytes.fromhex(text) for text in LEAVES]
    assert [root_of(leaves[: n + 1]).hex() for n in range(8)] == ROOTS
    assert (
        Tree().root()
        == EMPTY_ROOT
        == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )


@given(st.lists(st.binary(max_size=8), max_size=70))
@settings(max_examples=60, deadline=None)
def test_the_growing_tree_has_the_root_of_the_definition(leaves: list[bytes]) -> None:
    assert root_of(leaves) == naive_root(leaves)


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_inclusion_holds_for_the_leaf_it_is_of_and_for_no_other(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, parts, size = naive_root(leaves), path(index, leaves), len(leaves)
    leaf = leaf_hash(leaves[index])
    assert inclusion_holds(leaf, index, size, parts, root)
    assert not inclusion_holds(leaf_hash(b"forged"), index, size, parts, root)
    assert not inclusion_holds(leaf, index, size, [*parts, leaf], root)
    assert not inclusion_holds(leaf, size, size, parts, root)
    assert not inclusion_holds(leaf, -1, size, parts, root)
    if parts:
        assert not inclusion_holds(leaf, index, size, parts[:-1], root)
        assert not inclusion_holds(leaf, index, size, [*parts[:-1], bytes(32)], root)


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_consistency_holds_for_a_true_beginning_and_for_no_other(
    leaves: list[bytes], data: st.DataObject
) -> None:
    new = len(leaves)
    old = data.draw(st.integers(1, new))
    parts = proof(old, leaves)
    old_root, new_root = naive_root(leaves[:old]), naive_root(leaves)
    assert consistency_holds(old, new, parts, old_root, new_root)
    assert not consistency_holds(old, new, parts, bytes(32), new_root)
    assert not consistency_holds(old, new, parts, old_root, bytes(32))
    assert not consistency_holds(old, new, [*parts, bytes(32)], old_root, new_root)
    assert not consistency_holds(0, new, parts, old_root, new_root)
    assert not consistency_holds(new + 1, new, parts, old_root, new_root)
    if parts:
        assert not consistency_holds(old, new, parts[:-1], old_root, new_root)
