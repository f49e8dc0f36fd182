/* Made by `python -m firmware_bridge.header`; do not edit.
 * The first 8 bytes of the SHA-256 of protocol.h. */
#ifndef CELLWRIGHT_SCHEMA_H
#define CELLWRIGHT_SCHEMA_H

#define CW_SCHEMA_BYTES {0x5c, 0x54, 0x50, 0x9a, 0xa2, 0x9a, 0xd4, 0x03}

#endif
