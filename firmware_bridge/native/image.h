/* Which image runs: its SHA-256, patched in by build.py with the slot taken as zeros. */
#ifndef CELLWRIGHT_IMAGE_H
#define CELLWRIGHT_IMAGE_H

#include <stdint.h>

/* 32 bytes. */
const uint8_t *image_digest(void);

#endif
