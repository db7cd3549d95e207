#include "support/journal_world.h"

#include "support/unit.h"

#include <stdlib.h>
#include <string.h>

void journal_world_begin(struct journal_world *w, uint64_t segment_size, unsigned spare)
{
    memset(w, 0, sizeof *w);
    w->disk = sim_disk_new();
    assert_non_null(w->disk);
    gnt_seeded_init(&w->random, segment_size);
    w->options = (struct gnt_journal_options){.disk = sim_disk_door(w->disk),
                                              .segment_size = segment_size,
                                              .spare = spare,
                                              .random = &w->random.door};
}

void journal_world_end(struct journal_world *w)
{
    gnt_journal_close(&w->journal);
    sim_disk_free(w->disk);
}

gnt_err journal_world_open(struct journal_world *w)
{
    gnt_journal_close(&w->journal);
    w->last = w->safe = w->applied;
    return gnt_journal_open(&w->options, w->applied + 1, &w->journal);
}

struct content {
    uint64_t number;
    uint32_t attempt, size;
};

static uint8_t filling(const struct content *c, size_t at)
{
    return (uint8_t)(c->number * 7 + c->attempt * 31 + at);
}

static void fill(uint8_t *to, const struct content *c)
{
    memcpy(to, c, sizeof *c);
    for (size_t i = sizeof *c; i < c->size; i++)
        to[i] = filling(c, i);
}

gnt_err journal_world_write(struct journal_world *w, size_t size)
{
    uint64_t number = w->last + 1, given = 0;
    assert_true(number < WORLD_RECORDS && size >= sizeof(struct content));
    struct content c = {number, ++w->tries[number], (uint32_t)size};
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return GNT_NOMEM;
    fill(bytes, &c);
    struct gnt_slice parts[] = {{bytes, size / 3}, {NULL, 0}, {bytes + size / 3, size - size / 3}};
    w->safe_try[number] = c.attempt; /* if it becomes safe */
    gnt_err err = gnt_journal_write(w->journal, parts, COUNT_OF(parts), &given);
    free(bytes);
    if (err) {
        w->last = w->safe;
        return err;
    }
    assert_int_equal(given, number);
    w->last = number;
    return GNT_OK;
}

gnt_err journal_world_sync(struct journal_world *w)
{
    gnt_err err = gnt_journal_sync(w->journal);
    if (err)
        w->last = w->safe;
    else
        w->safe = w->last;
    return err;
}

void journal_world_release(struct journal_world *w, uint64_t up_to)
{
    gnt_journal_release(w->journal, up_to);
    if (up_to > w->applied)
        w->applied = up_to;
}

struct check {
    struct journal_world *w;
    uint64_t last, count;
};

static gnt_err check(void *context, uint64_t number, struct gnt_slice bytes)
{
    struct check *k = context;
    struct content c;
    assert_true(number > k->last && number < WORLD_RECORDS);
    assert_true(bytes.size >= sizeof c);
    memcpy(&c, bytes.data, sizeof c);
    assert_int_equal(c.number, number);
    assert_int_equal(c.size, bytes.size);
    assert_in_range(c.attempt, 1, k->w->tries[number]);
    for (size_t i = sizeof c; i < c.size; i++)
        assert_int_equal(bytes.data[i], filling(&c, i));
    if (number <= k->w->safe)
        assert_int_equal(c.attempt, k->w->safe_try[number]);
    k->last = number;
    k->count++;
    k->w->safe_try[number] = c.attempt;
    return GNT_OK;
}

gnt_err journal_world_replay(struct journal_world *w)
{
    struct check k = {w, w->applied, 0};
    gnt_err err = gnt_journal_replay(w->options.disk, w->applied, check, &k, &w->report);
    assert_int_equal(w->report.records, k.count);
    assert_int_equal(w->report.last, k.last);
    if (!err)
        assert_true(k.last - w->applied <= k.count + w->report.damaged);
    assert_int_equal(w->report.where[0] != 0, w->report.torn || w->report.cut || w->report.damaged);
    return err;
}

void journal_world_apply(struct journal_world *w)
{
    w->applied = w->last = w->safe = w->report.last;
}
