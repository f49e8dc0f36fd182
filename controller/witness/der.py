"""Puts the certificates of an RFC 3161 response into DER's order (ITU-T X.690, 11.6).

A module because authorities that use OpenSSL write this SET OF as it comes, and the parser takes
only DER's order. The set is not signed (RFC 5652, 5.1), and its members keep their lengths, so that
nothing else moves.
"""

from __future__ import annotations


def _tlv(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, where the contents begin, where they end. Raises ValueError, IndexError."""
    tag, length, begin = data[at], data[at + 1], at + 2
    if length >= 0x80:
        more = length & 0x7F
        if not 1 <= more <= 4:
            raise ValueError("a length that DER does not have")
        length, begin = int.from_bytes(data[begin : begin + more], "big"), begin + more
    if begin + length > len(data):
        raise ValueError("it ends early")
    return tag, begin, begin + length


def _parts(data: bytes, begin: int, end: int) -> list[tuple[int, int]]:
    found = []
    while begin < end:
        _, _, after = _tlv(data, begin)
        found.append((begin, after))
        begin = after
    return found


def in_order(response: bytes) -> bytes:
    """The response with sorted certificates; as it is where it is not of the expected form."""
    try:
        _, begin, end = _tlv(response, 0)  # TimeStampResp
        token = _parts(response, begin, end)[1][0]  # ContentInfo, behind the status
        content = _parts(response, *_tlv(response, token)[1:])[1][0]  # [0]
        signed = _parts(response, *_tlv(response, content)[1:])[0][0]  # SignedData
        for at, _ in _parts(response, *_tlv(response, signed)[1:]):
            tag, begin, end = _tlv(response, at)
            if tag == 0xA0:
                certificates = [response[a:b] for a, b in _parts(response, begin, end)]
                return response[:begin] + b"".join(sorted(certificates)) + response[end:]
    except (ValueError, IndexError):
        pass
    return response
