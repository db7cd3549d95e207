/* GNT_ASAN is 1 under AddressSanitizer, which sees what is wrong with memory only where each block
 * is its own, and else 0. */
#ifndef GNT_BASE_ASAN_H
#define GNT_BASE_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define GNT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GNT_ASAN 1
#endif
#endif

#ifndef GNT_ASAN
#define GNT_ASAN 0
#endif

#endif
