"""A second verifier of the sealed log, from the README's format alone.

    verify.py STORE.db CHECKPOINT PUBLIC_KEY

reads the entries of an embedded store, a checkpoint that was kept and the public key as
`doorstep seal key` prints it; exits 1, and says why, unless the checkpoint is signed by
the key and is of exactly these entries.
"""

import base64
import hashlib
import sqlite3
import sys
import uuid

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def fail(why):
    sys.exit(f"verify.py: {why}")


def key_id(name, public):
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def read_key(text):
    name, told, key = text.strip().split("+", 2)
    kind, public = base64.b64decode(key)[:1], base64.b64decode(key)[1:]
    if kind != b"\x01" or key_id(name, public).hex() != told:
        fail("the public key's parts do not belong together")
    return public


def read_checkpoint(note, public):
    """The size and the root, once the signature over them holds."""
    text, gap, signatures = note.partition("\n\n")
    if not gap or text.count("\n") < 2:
        fail("the checkpoint is none")
    text += "\n"
    origin, size, root = text.split("\n")[:3]
    for line in signatures.splitlines():
        dash, name, signature = line.split(" ")
        signature = base64.b64decode(signature)
        if dash == "\u2014" and name == origin and signature[:4] == key_id(origin, public):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text.encode())
            except InvalidSignature:
                fail("the checkpoint's signature does not hold")
            return int(size), base64.b64decode(root)
    fail("the checkpoint is not signed by this key")


def entries(store):
    """The bytes of each entry, in order, without a gap."""
    rows = store.execute("SELECT seq, at, kind, worker, hire, leaf FROM ledger ORDER BY seq")
    for expected, (seq, at, kind, worker, hire, leaf) in enumerate(rows, 1):
        if seq != expected:
            fail(f"seq {expected}: is missing")
        worker = uuid.UUID(bytes=worker)
        hire = "-" if hire is None else uuid.UUID(bytes=hire)
        yield f"doorstep-ledger-v1\n{seq}\n{at}\n{kind}\n{worker}\n{hire}\n{leaf}".encode()


def root_of(entries):
    """The root of RFC 6962 section 2.1, with one hash for each bit of the size."""
    peaks = []
    for n, entry in enumerate(entries):
        node = hashlib.sha256(b"\x00" + entry).digest()
        while n & 1:
            node, n = hashlib.sha256(b"\x01" + peaks.pop() + node).digest(), n >> 1
        peaks.append(node)
    if not peaks:
        return hashlib.sha256(b"").digest()
    root = peaks.pop()
    while peaks:
        root = hashlib.sha256(b"\x01" + peaks.pop() + root).digest()
    return root


def main(file, checkpoint, key):
    public = read_key(open(key, encoding="utf-8").read())
    size, root = read_checkpoint(open(checkpoint, encoding="utf-8").read(), public)
    store = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    found = list(entries(store))
    if len(found) < size:
        fail(f"seq {len(found) + 1}: is missing; the checkpoint covers {size}")
    if root_of(found[:size]) != root:
        fail(f"one of the entries 1 to {size} is not the one that the checkpoint covers")
    print(f"{size} of {len(found)} entries are those of the checkpoint")


main(*sys.argv[1:])
