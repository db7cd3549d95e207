/* Bytes that are lent: who hands them out says for how long. */
#ifndef GNATTER_BYTES_H
#define GNATTER_BYTES_H

#include <stddef.h>

struct gnatter_bytes {
    const void *data;
    size_t size;
};

#endif
