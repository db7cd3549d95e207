#include "front/amqp/outcomes.h"

#include "base/assert.h"

#include <stdlib.h>

struct gnt_outcome_kept *gnt_outcome_new(const struct gnt_amqp_delivery *d)
{
    struct gnt_outcome_kept *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    gnt_list_init(&o->link);
    o->tag_size = d->tag_size;
    memcpy(o->tag, d->tag, d->tag_size);
    return o;
}

void gnt_outcome_decide(struct gnt_outcome_kept *o, struct gnt_slice state, struct gnt_list *list)
{
    GNT_ASSERT(state.size <= sizeof o->state);
    memcpy(o->state, state.data, state.size);
    o->state_size = (uint16_t)state.size;
    gnt_list_push_back(list, &o->link);
}

void gnt_outcome_free(struct gnt_outcome_kept *o)
{
    gnt_list_remove(&o->link);
    free(o);
}

static struct gnt_outcome_kept *at(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_outcome_kept, link);
}

/* All but the first LEFT. */
static void free_behind(struct gnt_list *list, size_t left)
{
    gnt_list_each_safe (link, list) {
        if (left)
            left--;
        else
            gnt_outcome_free(at(link));
    }
}

void gnt_outcomes_free(struct gnt_list *list)
{
    free_behind(list, 0);
}

gnt_err gnt_outcomes_answer(struct gnt_list *list, struct gnt_amqp_peer *p,
                            struct gnt_wanted *wanted)
{
    size_t count = 0, i = 0;
    gnt_list_each (link, list)
        count++;
    struct gnt_amqp_unsettled *unsettled = calloc(count + 1, sizeof *unsettled);
    if (!unsettled)
        return GNT_NOMEM;
    gnt_list_each (link, list) {
        struct gnt_outcome_kept *o = at(link);
        unsettled[i++] = (struct gnt_amqp_unsettled){.tag = gnt_slice(o->tag, o->tag_size),
                                                     .state = gnt_slice(o->state, o->state_size),
                                                     .context = o};
    }
    wanted->unsettled = unsettled;
    wanted->unsettled_count = count;
    gnt_err err = gnt_attach_answer(p, wanted, gnt_slice(NULL, 0));
    free(unsettled);
    if (!err)
        free_behind(list, wanted->link->restored);
    return err;
}

gnt_err gnt_outcome_tell(struct gnt_outcome_kept *o, struct gnt_amqp_delivery *d)
{
    gnt_err err = gnt_amqp_delivery_settle(d, gnt_slice(o->state, o->state_size), true);
    gnt_outcome_free(o);
    return err == GNT_STATE ? GNT_OK : err;
}
