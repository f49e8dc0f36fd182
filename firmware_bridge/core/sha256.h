/* SHA-256 (FIPS 180-4, 6.2): the identity of a table. */
#ifndef CELLWRIGHT_SHA256_H
#define CELLWRIGHT_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

/* The digest of `count` bytes, in the order the standard writes it. */
void sha256_of(const uint8_t *bytes, size_t count, uint8_t digest[SHA256_BYTES]);

#endif
