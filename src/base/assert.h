/* Asserts that stay on in release.  They state what our own code promises; what a peer or a file
 * sends never reaches one.  One condition each, cheap to test.  With GNATTER_SMALL, for devices
 * without room for text or a stream to write it to, a broken promise traps without a word. */
#ifndef GNT_BASE_ASSERT_H
#define GNT_BASE_ASSERT_H

#ifdef GNATTER_SMALL
#define GNT_ASSERT(condition) (__builtin_expect(!!(condition), 1) ? (void)0 : __builtin_trap())
#else
#define GNT_ASSERT(condition)                     \
    (__builtin_expect(!!(condition), 1) ? (void)0 \
                                        : gnt_assert_failed(#condition, __FILE__, __LINE__))
#endif

/* An object that travels through a void pointer carries a magic number as its first field. */
#define GNT_CHECK_MAGIC(pointer, value) GNT_ASSERT((pointer)->magic == (value))

__attribute__((noreturn)) void gnt_assert_failed(const char *condition, const char *file, int line);

#endif
