/* CRC-32 of IEEE 802.3, reflected polynomial 0xEDB88320, as zlib's. */
#ifndef CELLWRIGHT_CRC32_H
#define CELLWRIGHT_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(const uint8_t *bytes, size_t count);

#endif
