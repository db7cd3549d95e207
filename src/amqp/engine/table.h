/* What is found by a small number: sessions by channel, links by handle.  Grows as far as it is
 * used, and never beyond the bound that the caller keeps to. */
#ifndef GNT_AMQP_ENGINE_TABLE_H
#define GNT_AMQP_ENGINE_TABLE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct gnt_amqp_table {
    void **place;  /* NULL while nothing was ever put */
    uint32_t size; /* places */
    uint32_t hint; /* no place below is free */
};

void gnt_amqp_table_fini(struct gnt_amqp_table *t);

/* NULL: nothing is there. */
static inline void *gnt_amqp_table_at(const struct gnt_amqp_table *t, uint32_t number)
{
    return number < t->size ? t->place[number] : NULL;
}

/* The lowest number whose place is free; it may be one that there is no place for yet. */
uint32_t gnt_amqp_table_free_place(struct gnt_amqp_table *t);

/* Makes the place NUMBER, so that it can be set. */
GNT_MUST gnt_err gnt_amqp_table_reserve(struct gnt_amqp_table *t, uint32_t number);

static inline void gnt_amqp_table_set(struct gnt_amqp_table *t, uint32_t number, void *what)
{
    t->place[number] = what;
}

void gnt_amqp_table_clear(struct gnt_amqp_table *t, uint32_t number);

#endif
