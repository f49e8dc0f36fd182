/* Made by `python -m firmware_bridge.header`; do not edit.
 * The first 8 bytes of the SHA-256 of protocol.h. */
#ifndef CELLWRIGHT_SCHEMA_H
#define CELLWRIGHT_SCHEMA_H

#define CW_SCHEMA_BYTES {0xa6, 0x07, 0x2d, 0x67, 0x08, 0x47, 0x3d, 0x9b}

#endif
