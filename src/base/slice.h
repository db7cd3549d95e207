/* Borrowed bytes, and a reader over them whose error sticks.
 *
 * A slice owns nothing: it is valid as long as what it was taken from.  An empty slice may have any
 * pointer, NULL too.  A reader never reads past its end: the first read that would do so sets
 * `bad`, and from then on every read gives zeros or empty slices; look at `bad` once, after the
 * last read. All integers on the wire are big-endian (MQTT and AMQP alike). */
#ifndef GNT_BASE_SLICE_H
#define GNT_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gnt_slice {
    const uint8_t *data;
    size_t size;
};

static inline struct gnt_slice gnt_slice(const void *data, size_t size)
{
    return (struct gnt_slice){data, size};
}

static inline struct gnt_slice gnt_slice_str(const char *text)
{
    return (struct gnt_slice){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline bool gnt_slice_eq(struct gnt_slice a, struct gnt_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool gnt_slice_eq_str(struct gnt_slice a, const char *text)
{
    return gnt_slice_eq(a, gnt_slice_str(text));
}

static inline bool gnt_slice_starts(struct gnt_slice a, struct gnt_slice prefix)
{
    return a.size >= prefix.size &&
           (prefix.size == 0 || memcmp(a.data, prefix.data, prefix.size) == 0);
}

/* A without its first N bytes; N must not be over a.size. */
static inline struct gnt_slice gnt_slice_skip(struct gnt_slice a, size_t n)
{
    return n == 0 ? a : (struct gnt_slice){a.data + n, a.size - n};
}

struct gnt_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct gnt_reader gnt_reader(struct gnt_slice in)
{
    return (struct gnt_reader){in.data, in.size ? in.data + in.size : in.data, false};
}

static inline size_t gnt_read_left(const struct gnt_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The next N bytes, or an empty slice and `bad`. */
static inline struct gnt_slice gnt_read_bytes(struct gnt_reader *r, size_t n)
{
    if (__builtin_expect(r->bad || gnt_read_left(r) < n, 0)) {
        r->bad = true;
        r->at = r->end;
        return (struct gnt_slice){NULL, 0};
    }
    struct gnt_slice s = {r->at, n};
    if (n)
        r->at += n;
    return s;
}

static inline uint8_t gnt_read_u8(struct gnt_reader *r)
{
    struct gnt_slice s = gnt_read_bytes(r, 1);
    return s.size ? s.data[0] : 0;
}

static inline uint16_t gnt_read_u16(struct gnt_reader *r)
{
    struct gnt_slice s = gnt_read_bytes(r, 2);
    return s.size ? (uint16_t)(s.data[0] << 8 | s.data[1]) : 0;
}

static inline uint32_t gnt_read_u32(struct gnt_reader *r)
{
    struct gnt_slice s = gnt_read_bytes(r, 4);
    return s.size ? (uint32_t)s.data[0] << 24 | (uint32_t)s.data[1] << 16 |
                        (uint32_t)s.data[2] << 8 | s.data[3]
                  : 0;
}

/* A two-byte length and that many bytes: MQTT's strings and binary data. */
static inline struct gnt_slice gnt_read_str16(struct gnt_reader *r)
{
    return gnt_read_bytes(r, gnt_read_u16(r));
}

#endif
