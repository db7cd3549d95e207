#include "base/crc32c.h"

#include <pthread.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* ---- Tables: eight bytes a step, each byte through the table of its distance to the end */

enum { SLICES = 8 };

static const uint32_t polynomial = UINT32_C(0x82f63b78); /* its bits reversed */
static uint32_t tables[SLICES][256];

static void fill_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        tables[0][byte] = crc;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t nearer = tables[slice - 1][byte];
            tables[slice][byte] = nearer >> 8 ^ tables[0][nearer & 255];
        }
}

uint32_t gnt_crc32c_portable(uint32_t before, struct gnt_slice bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, fill_tables);
    uint32_t crc = ~before;
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= SLICES; at += SLICES, left -= SLICES) {
        uint32_t next = 0;
        for (int i = 0; i < 4; i++) {
            next ^= tables[7 - i][at[i] ^ (crc >> 8 * i & 255)];
            next ^= tables[3 - i][at[4 + i]];
        }
        crc = next;
    }
    for (; left; at++, left--)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 255];
    return ~crc;
}

/* ---- The instruction */

#if defined(__x86_64__)
#define INSTRUCTION       __attribute__((target("sse4.2")))
#define STEP_8(crc, word) ((uint32_t)_mm_crc32_u64((crc), (word)))
#define STEP_1(crc, byte) _mm_crc32_u8((crc), (byte))

static bool has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__)
#ifdef __clang__ /* whose arm_acle.h wants the whole file compiled for such a processor */
#define INSTRUCTION       __attribute__((target("crc")))
#define STEP_8(crc, word) __builtin_arm_crc32cd((crc), (word))
#define STEP_1(crc, byte) __builtin_arm_crc32cb((crc), (byte))
#else
#define INSTRUCTION       __attribute__((target("+crc")))
#define STEP_8(crc, word) __builtin_aarch64_crc32cx((crc), (word))
#define STEP_1(crc, byte) __builtin_aarch64_crc32cb((crc), (byte))
#endif

static bool has_instruction(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#endif

#ifdef INSTRUCTION
INSTRUCTION static uint32_t by_instruction(uint32_t before, struct gnt_slice bytes)
{
    uint32_t crc = ~before;
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= sizeof(uint64_t); at += sizeof(uint64_t), left -= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        crc = STEP_8(crc, word);
    }
    for (; left; at++, left--)
        crc = STEP_1(crc, *at);
    return ~crc;
}

uint32_t gnt_crc32c(uint32_t before, struct gnt_slice bytes)
{
    return has_instruction() ? by_instruction(before, bytes) : gnt_crc32c_portable(before, bytes);
}
#else
uint32_t gnt_crc32c(uint32_t before, struct gnt_slice bytes)
{
    return gnt_crc32c_portable(before, bytes);
}
#endif
