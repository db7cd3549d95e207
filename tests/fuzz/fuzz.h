/* What every fuzz target defines.  It returns 0, and aborts (GNT_ASSERT) where a promise about the
 * input is broken; the sanitizers find the rest. */
#ifndef GNT_TESTS_FUZZ_H
#define GNT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
