/* SHA-256 with a schedule of 16 words, kept turning, so it needs little stack (FIPS 180-4, 6.2). */
#include "sha256.h"

#include <string.h>

enum { BLOCK = 64, LENGTH_AT = 56 };

static const uint32_t FIRST[8] = {
    0x6A09E667U, 0xBB67AE85U, 0x3C6EF372U, 0xA54FF53AU,
    0x510E527FU, 0x9B05688CU, 0x1F83D9ABU, 0x5BE0CD19U,
};

static const uint32_t ROUND[64] = {
    0x428A2F98U, 0x71374491U, 0xB5C0FBCFU, 0xE9B5DBA5U, 0x3956C25BU, 0x59F111F1U, 0x923F82A4U,
    0xAB1C5ED5U, 0xD807AA98U, 0x12835B01U, 0x243185BEU, 0x550C7DC3U, 0x72BE5D74U, 0x80DEB1FEU,
    0x9BDC06A7U, 0xC19BF174U, 0xE49B69C1U, 0xEFBE4786U, 0x0FC19DC6U, 0x240CA1CCU, 0x2DE92C6FU,
    0x4A7484AAU, 0x5CB0A9DCU, 0x76F988DAU, 0x983E5152U, 0xA831C66DU, 0xB00327C8U, 0xBF597FC7U,
    0xC6E00BF3U, 0xD5A79147U, 0x06CA6351U, 0x14292967U, 0x27B70A85U, 0x2E1B2138U, 0x4D2C6DFCU,
    0x53380D13U, 0x650A7354U, 0x766A0ABBU, 0x81C2C92EU, 0x92722C85U, 0xA2BFE8A1U, 0xA81A664BU,
    0xC24B8B70U, 0xC76C51A3U, 0xD192E819U, 0xD6990624U, 0xF40E3585U, 0x106AA070U, 0x19A4C116U,
    0x1E376C08U, 0x2748774CU, 0x34B0BCB5U, 0x391C0CB3U, 0x4ED8AA4AU, 0x5B9CCA4FU, 0x682E6FF3U,
    0x748F82EEU, 0x78A5636FU, 0x84C87814U, 0x8CC70208U, 0x90BEFFFAU, 0xA4506CEBU, 0xBEF9A3F7U,
    0xC67178F2U,
};

static uint32_t turned(uint32_t word, unsigned by)
{
    return word >> by | word << (32U - by);
}

/* The schedule's word of a round; from round 16 on it takes the place of the word 16 before. */
static uint32_t scheduled(uint32_t words[16], unsigned round)
{
    uint32_t *word = &words[round & 15U];
    if (round >= 16U) {
        uint32_t a = words[(round + 1U) & 15U], b = words[(round + 14U) & 15U];
        *word += (turned(a, 7) ^ turned(a, 18) ^ a >> 3) + words[(round + 9U) & 15U]
               + (turned(b, 17) ^ turned(b, 19) ^ b >> 10);
    }
    return *word;
}

static void take_block(uint32_t hash[8], const uint8_t *bytes)
{
    uint32_t words[16], s[8];
    for (unsigned n = 0; n < 16; n++) {
        const uint8_t *at = bytes + 4 * n;
        words[n] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    memcpy(s, hash, sizeof s);
    for (unsigned round = 0; round < 64; round++) {
        uint32_t big_e = turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25);
        uint32_t big_a = turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22);
        uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        uint32_t first = s[7] + big_e + choice + ROUND[round] + scheduled(words, round);
        memmove(&s[1], &s[0], 7 * sizeof s[0]);
        s[4] += first;
        s[0] = first + big_a + majority;
    }
    for (unsigned n = 0; n < 8; n++)
        hash[n] += s[n];
}

void sha256_of(const uint8_t *bytes, size_t count, uint8_t digest[SHA256_BYTES])
{
    uint32_t hash[8];
    uint8_t last[BLOCK] = {0};
    size_t done = 0;
    memcpy(hash, FIRST, sizeof hash);
    for (; count - done >= BLOCK; done += BLOCK)
        take_block(hash, bytes + done);
    memcpy(last, bytes + done, count - done);
    last[count - done] = 0x80;
    if (count - done >= LENGTH_AT) {
        take_block(hash, last);
        memset(last, 0, sizeof last);
    }
    uint64_t bits = (uint64_t)count * 8U;
    for (unsigned n = 0; n < 8; n++)
        last[LENGTH_AT + n] = (uint8_t)(bits >> (56U - 8U * n));
    take_block(hash, last);
    for (unsigned n = 0; n < SHA256_BYTES; n++)
        digest[n] = (uint8_t)(hash[n / 4] >> (24U - 8U * (n & 3U)));
}
