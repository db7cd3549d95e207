/* For tests of the AMQP codec: bytes written as hexadecimal digits with blanks between them and
 * 'text' for the characters themselves, values told as text, and values taken apart and put
 * together again. */
#ifndef GNT_TESTS_AMQP_VALUE_H
#define GNT_TESTS_AMQP_VALUE_H

#include "amqp/codec/print.h"
#include "amqp/codec/put.h"
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

/* SIZE bytes of IN in a block of exactly that size, so that the sanitizers see a read past its end;
 * the caller's to free with gnt_test_amqp_free. */
static inline struct gnt_slice gnt_test_amqp_copy(struct gnt_slice in, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    GNT_ASSERT(exact != NULL && size <= in.size);
    if (size)
        memcpy(exact, in.data, size);
    return gnt_slice(exact, size);
}

static inline void gnt_test_amqp_free(struct gnt_slice bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

static inline struct gnt_slice gnt_test_amqp_bytes(const char *notation)
{
    uint8_t bytes[4096];
    size_t size = 0;
    for (const char *at = notation; *at;) {
        unsigned byte;
        GNT_ASSERT(size < sizeof bytes);
        if (*at == ' ') {
            at++;
        } else if (*at == '\'') {
            for (at++; *at != '\''; at++)
                bytes[size++] = (uint8_t)*at;
            at++;
        } else {
            GNT_ASSERT(sscanf(at, "%2x", &byte) == 1);
            bytes[size++] = (uint8_t)byte;
            at += 2;
        }
    }
    return gnt_test_amqp_copy(gnt_slice(bytes, size), size);
}

/* What the printer makes of a value, as text that is free()d. */
static inline char *gnt_test_amqp_tell(struct gnt_slice encoded)
{
    struct gnt_buf out = {0};
    GNT_ASSERT(gnt_amqp_print_value(&out, 1 << 30, encoded) == GNT_OK);
    GNT_ASSERT(gnt_buf_put(&out, gnt_slice("", 1)) == GNT_OK);
    return (char *)out.data;
}

/* Puts VALUE, which is valid, item by item, each in its smallest form; the elements of an array
 * keep the form that they have. */
static inline void gnt_test_amqp_rebuild(struct gnt_amqp_writer *w, struct gnt_amqp_value value)
{
    struct gnt_amqp_items items = gnt_amqp_items(&value);
    struct gnt_amqp_value item, inner;
    const uint32_t count = value.count;
    size_t mark;
    switch (value.type) {
    case GNT_AMQP_LIST:
        mark = gnt_amqp_begin_list(w);
        while (gnt_amqp_items_next(&items, &item))
            gnt_test_amqp_rebuild(w, item);
        gnt_amqp_end_list(w, mark, count);
        break;
    case GNT_AMQP_MAP:
        mark = gnt_amqp_begin_map(w);
        while (gnt_amqp_items_next(&items, &item))
            gnt_test_amqp_rebuild(w, item);
        gnt_amqp_end_map(w, mark, count);
        break;
    case GNT_AMQP_ARRAY:
        if (items.form == 0) /* one that came without a constructor */
            items.form = GNT_AMQP_FORM_NULL;
        mark = gnt_amqp_begin_array(w, items.descriptor, (enum gnt_amqp_form)items.form);
        while (gnt_amqp_items_next(&items, &item))
            gnt_amqp_put_element(w, (enum gnt_amqp_form)items.form, &item);
        gnt_amqp_end_array(w, mark, count);
        break;
    case GNT_AMQP_DESCRIBED:
        GNT_ASSERT(gnt_amqp_described(&value, &item, &inner));
        gnt_amqp_put_raw(w, gnt_slice("", 1));
        gnt_test_amqp_rebuild(w, item);
        gnt_test_amqp_rebuild(w, inner);
        break;
    default:
        value.encoded = gnt_slice(NULL, 0);
        gnt_amqp_put_value(w, &value);
        break;
    }
    GNT_ASSERT(!items.in.bad);
}

/* The rebuilt encoding of the value that ENCODED is; sized first, as a caller would. */
static inline struct gnt_slice gnt_test_amqp_smallest(struct gnt_slice encoded)
{
    struct gnt_amqp_value value;
    GNT_ASSERT(gnt_amqp_parse(encoded, &value) == GNT_OK);
    struct gnt_amqp_writer sizing = gnt_amqp_writer(NULL, 0);
    gnt_test_amqp_rebuild(&sizing, value);
    uint8_t *bytes = malloc(sizing.size);
    GNT_ASSERT(bytes != NULL);
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizing.size);
    gnt_test_amqp_rebuild(&w, value);
    GNT_ASSERT(gnt_amqp_fits(&w) && w.size == sizing.size);
    return gnt_amqp_written(&w);
}

#endif
