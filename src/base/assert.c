#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void gnt_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "gnatter: %s:%d: promise broken: %s\n", file, line, condition);
    abort();
}
