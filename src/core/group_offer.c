#include "core/group_private.h"

#include "base/assert.h"

#include <stdlib.h>

/* So many offers to a member at another home may be unanswered: enough to keep it busy, few enough
 * to come back cheaply when it has no room. */
enum { OFFERS_MAX = 32 };

/* An offer to a member at another home; comes back with the answer. */
struct offer {
    struct gnt_offered offered; /* its message is NULL when it comes back taken */
    uint64_t member;
    unsigned home; /* the group's */
    enum gnt_offer answer;
    struct gnt_owed owed;
};

/* Whether round A began after round B; they go round themselves. */
static bool later(uint32_t a, uint32_t b)
{
    return a - b - 1 < UINT32_MAX / 2;
}

/* A member has it.  Who settles it says so; at QoS 0 nobody does. */
static void handed_over(struct gnt_group *g, const struct gnt_offered *offered)
{
    gnt_ledger_add(&g->ledger, GNT_COUNT_DELIVERED, 1);
    if (offered->options.qos == 0)
        gnt_group_keep_no_message(g, offered->sequence);
}

static void note_answer(struct gnt_member *m, enum gnt_offer answer)
{
    if (answer != GNT_OFFER_TAKEN && answer != GNT_OFFER_FAILED)
        m->state = answer == GNT_OFFER_BUSY ? GNT_MEMBER_BUSY : GNT_MEMBER_AWAY;
}

bool gnt_member_has_room(const struct gnt_member *m)
{
    return m->state == GNT_MEMBER_READY && m->unanswered < OFFERS_MAX;
}

void gnt_group_got_room(struct gnt_group *g, const struct gnt_member *m)
{
    g->look_aside |= gnt_member_has_room(m) && m->aside_seen != g->aside_put;
}

/* ---- There */

static void on_answer(const struct gnt_mail *mail);

/* At the member's home. */
static void on_offer(const struct gnt_mail *mail)
{
    struct gnt_home *home = mail->to;
    struct offer *o = mail->object;
    struct gnt_sink *sink = gnt_slots_find(&home->slots, o->member);
    o->answer = sink ? sink->ops->offer(sink, &o->offered) : GNT_OFFER_GONE;
    if (o->answer == GNT_OFFER_TAKEN)
        gnt_message_unref(&o->offered.message);
    gnt_home_mail_surely(home, o->home, on_answer, o, &o->owed);
}

static enum gnt_offer offer_here(struct gnt_group *g, struct gnt_member *m,
                                 const struct gnt_offered *offered)
{
    struct gnt_sink *sink = gnt_slots_find(&g->home->slots, m->id);
    enum gnt_offer answer = sink ? sink->ops->offer(sink, offered) : GNT_OFFER_GONE;
    if (answer == GNT_OFFER_TAKEN)
        handed_over(g, offered);
    return answer;
}

/* TAKEN by a member elsewhere means that the offer is on its way. */
static enum gnt_offer offer_to(struct gnt_group *g, struct gnt_member *m,
                               const struct gnt_waiting *w)
{
    const struct gnt_offered offered = {.message = w->message,
                                        .group = g->sink.id,
                                        .log = g->number,
                                        .sequence = w->sequence,
                                        .round = m->round,
                                        .options = m->options};
    unsigned home = gnt_sink_home(m->id);
    if (home == g->home->index)
        return offer_here(g, m, &offered);
    struct offer *o = malloc(sizeof *o);
    if (!o)
        return GNT_OFFER_FAILED;
    *o = (struct offer){.offered = offered, .member = m->id, .home = g->home->index};
    gnt_message_ref(w->message);
    if (gnt_home_mail(g->home, home, on_offer, o, 0, 0)) {
        gnt_message_unref(&o->offered.message);
        free(o);
        return GNT_OFFER_FAILED;
    }
    m->unanswered++;
    g->under_way++;
    return GNT_OFFER_TAKEN;
}

enum gnt_offer gnt_member_offer(struct gnt_group *g, struct gnt_member *m,
                                const struct gnt_waiting *w)
{
    enum gnt_offer answer = offer_to(g, m, w);
    note_answer(m, answer);
    return answer;
}

/* ---- And back */

static void answered(struct gnt_group *g, struct gnt_member *m, uint32_t round,
                     enum gnt_offer answer)
{
    GNT_ASSERT(m->unanswered > 0);
    bool had_room = gnt_member_has_room(m);
    m->unanswered--;
    if (round == m->round)
        note_answer(m, answer);
    if (m->unanswered == 0 && m->state == GNT_MEMBER_RESUMING)
        m->state = GNT_MEMBER_READY;
    if (!had_room)
        gnt_group_got_room(g, m);
}

/* At the group's home: a member has answered. */
static void on_answer(const struct gnt_mail *mail)
{
    struct gnt_home *home = mail->to;
    struct offer *o = mail->object;
    const struct gnt_offered *offered = &o->offered;
    struct gnt_group *g = gnt_group_find(home, offered->group);
    struct gnt_member *m = g ? gnt_group_member(g, o->member) : NULL;
    if (m && later(m->joined, offered->round))
        m = NULL; /* it has left and joined again meanwhile */
    if (g)
        g->under_way--;
    if (g && o->answer == GNT_OFFER_TAKEN)
        handed_over(g, offered);
    if (m)
        answered(g, m, offered->round, o->answer);
    if (m && o->answer == GNT_OFFER_GONE) {
        gnt_group_remove_member(g, m);
        g = gnt_group_find(home, offered->group); /* it ends with its last member */
    }
    if (g && o->offered.message)
        g->turned_down += gnt_group_returned(g, g->unsettled + g->turned_down, offered->sequence,
                                             &o->offered.message);
    if (g)
        gnt_group_dispatch(g);
    if (o->offered.message)
        gnt_group_drop_orphan(home, &o->offered.message);
    free(o);
}
