#include "amqp/engine/table.h"

#include <stdlib.h>
#include <string.h>

void gnt_amqp_table_fini(struct gnt_amqp_table *t)
{
    free(t->place);
    *t = (struct gnt_amqp_table){0};
}

uint32_t gnt_amqp_table_free_place(struct gnt_amqp_table *t)
{
    while (t->hint < t->size && t->place[t->hint])
        t->hint++;
    return t->hint;
}

gnt_err gnt_amqp_table_reserve(struct gnt_amqp_table *t, uint32_t number)
{
    if (number < t->size)
        return GNT_OK;
    uint32_t size = t->size ? t->size : 2;
    while (size <= number)
        size *= 2;
    void **place = realloc(t->place, size * sizeof *place);
    if (!place)
        return GNT_NOMEM;
    memset(place + t->size, 0, (size - t->size) * sizeof *place);
    t->place = place;
    t->size = size;
    return GNT_OK;
}

void gnt_amqp_table_clear(struct gnt_amqp_table *t, uint32_t number)
{
    t->place[number] = NULL;
    if (number < t->hint)
        t->hint = number;
}
