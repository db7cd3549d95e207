/* cmocka, with the headers it wants included first, and what many unit tests need. */
#ifndef GNT_TESTS_UNIT_H
#define GNT_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A slice of a string literal; its bytes may be zero. */
#define LITERAL(text) gnt_slice((text), sizeof(text) - 1)

#define assert_slice(slice, text)                                  \
    do {                                                           \
        struct gnt_slice slice_ = (slice);                         \
        assert_int_equal(slice_.size, sizeof(text) - 1);           \
        if (slice_.size)                                           \
            assert_memory_equal(slice_.data, (text), slice_.size); \
    } while (0)

#endif
