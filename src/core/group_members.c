#include "core/group_private.h"

#include <stdlib.h>

/* ---- Joining */

static struct gnt_member *member_new(struct gnt_group *g)
{
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 4;
        struct gnt_member *members = realloc(g->members, cap * sizeof *members);
        if (!members)
            return NULL;
        g->members = members;
        g->cap = cap;
    }
    struct gnt_member *m = &g->members[g->count++];
    *m = (struct gnt_member){0};
    return m;
}

static enum gnt_outcome join_here(struct gnt_home *home, struct gnt_joining *j)
{
    struct gnt_group *g = gnt_group_named(home, j->name, j->filter);
    gnt_err err = g ? GNT_OK : gnt_group_new(home, j->name, j->filter, &g);
    if (err == GNT_FULL)
        gnt_count(&home->counters, GNT_COUNT_FILTERS_REFUSED, 1);
    if (err)
        return err == GNT_FULL ? GNT_QUOTA : GNT_FAILED;
    if (j->member & GNT_SINK_KEPT && !g->number)
        err = gnt_group_keep(g);
    struct gnt_member *m = err ? NULL : gnt_group_member(g, j->member);
    if (!err && !m)
        m = member_new(g);
    if (!m) {
        if (g->count == 0)
            gnt_group_free(g);
        return GNT_FAILED;
    }
    if (m->id != j->member || m->joined != j->round) /* it is new, or new again */
        *m = (struct gnt_member){.id = j->member,
                                 .rights = m->rights,
                                 .joined = j->round,
                                 .round = j->round,
                                 .state = j->away ? GNT_MEMBER_AWAY : GNT_MEMBER_READY};
    m->options = j->options;
    gnt_group_set_rights(g, m, j->rights);
    g->look_aside = true;
    j->group = g->sink.id;
    return GNT_DONE;
}

static void on_join_answer(const struct gnt_mail *mail)
{
    struct gnt_joining *j = mail->object;
    j->done(j, j->outcome);
}

static void on_join(const struct gnt_mail *mail)
{
    struct gnt_home *home = mail->to;
    struct gnt_joining *j = mail->object;
    j->outcome = join_here(home, j);
    uint64_t group = j->outcome == GNT_DONE ? j->group : 0; /* *j is the member's once mailed */
    gnt_home_mail_surely(home, j->home, on_join_answer, j, &j->answer);
    struct gnt_group *g = group ? gnt_group_find(home, group) : NULL;
    if (g)
        gnt_group_dispatch(g); /* behind the answer, so that the member knows the group by then */
}

bool gnt_group_join(struct gnt_home *home, struct gnt_joining *joining, enum gnt_outcome *outcome)
{
    uint64_t hash = gnt_group_hash(home->config.home_key, joining->name, joining->filter);
    unsigned at = (unsigned)(hash % home->config.homes);
    if (at == home->index || home->recovering) {
        struct gnt_home *there = &home->homes[at];
        *outcome = join_here(there, joining);
        struct gnt_group *g = *outcome == GNT_DONE ? gnt_group_find(there, joining->group) : NULL;
        if (g)
            gnt_home_later(there, &g->again); /* once the member knows the group */
        return true;
    }
    joining->home = home->index;
    if (gnt_home_mail(home, at, on_join, joining, 0, 0) == GNT_OK)
        return false;
    *outcome = GNT_FAILED;
    return true;
}

/* ---- Members' news; at the group's home, by a call or by mail (value: the
 * member, or a message's sequence; other: the group) */

static void leave_here(struct gnt_home *home, uint64_t group, uint64_t member)
{
    struct gnt_group *g = gnt_group_find(home, group);
    struct gnt_member *m = g ? gnt_group_member(g, member) : NULL;
    if (m)
        gnt_group_remove_member(g, m);
}

static void ready_here(struct gnt_home *home, uint64_t group, uint64_t member, uint32_t round)
{
    struct gnt_group *g = gnt_group_find(home, group);
    struct gnt_member *m = g ? gnt_group_member(g, member) : NULL;
    if (!m)
        return;
    m->round = round;
    m->state = m->unanswered ? GNT_MEMBER_RESUMING : GNT_MEMBER_READY;
    gnt_group_got_room(g, m);
    gnt_group_dispatch(g);
}

static void away_here(struct gnt_home *home, uint64_t group, uint64_t member)
{
    struct gnt_group *g = gnt_group_find(home, group);
    struct gnt_member *m = g ? gnt_group_member(g, member) : NULL;
    if (!m)
        return;
    m->state = GNT_MEMBER_AWAY;
    gnt_group_dispatch(g);
}

static void bind_here(struct gnt_home *home, uint64_t group, uint64_t member,
                      struct gnt_rights *rights)
{
    struct gnt_group *g = gnt_group_find(home, group);
    struct gnt_member *m = g ? gnt_group_member(g, member) : NULL;
    if (!m)
        return;
    gnt_group_set_rights(g, m, rights);
    g->look_aside = true;
    gnt_group_dispatch(g);
}

static void return_here(struct gnt_home *home, uint64_t group, uint64_t sequence,
                        struct gnt_message *message)
{
    struct gnt_group *g = gnt_group_find(home, group);
    if (!g) {
        gnt_group_drop_orphan(home, &message);
        return;
    }
    gnt_ledger_add(&g->ledger, GNT_COUNT_DELIVERED, -1);
    g->unsettled += gnt_group_returned(g, g->unsettled, sequence, &message);
    gnt_group_dispatch(g);
}

static void settled_here(struct gnt_home *home, uint64_t group, uint64_t sequence)
{
    struct gnt_group *g = gnt_group_find(home, group);
    if (g)
        gnt_group_keep_no_message(g, sequence);
}

static void on_leave(const struct gnt_mail *mail)
{
    leave_here(mail->to, mail->other, mail->value);
}

static void on_ready(const struct gnt_mail *mail)
{
    ready_here(mail->to, mail->other, mail->value, (uint32_t)(uintptr_t)mail->object);
}

static void on_away(const struct gnt_mail *mail)
{
    away_here(mail->to, mail->other, mail->value);
}

static void on_bind(const struct gnt_mail *mail)
{
    struct gnt_rights *rights = mail->object;
    bind_here(mail->to, mail->other, mail->value, rights);
    gnt_rights_unref(&rights);
}

static void on_return(const struct gnt_mail *mail)
{
    return_here(mail->to, mail->other, mail->value, mail->object);
}

static void on_settled(const struct gnt_mail *mail)
{
    settled_here(mail->to, mail->other, mail->value);
}

void gnt_group_leave(struct gnt_home *home, uint64_t group, uint64_t member)
{
    unsigned at = gnt_sink_home(group);
    if (at == home->index)
        leave_here(home, group, member);
    else if (gnt_home_mail(home, at, on_leave, NULL, member, group))
        return; /* out of memory: the group finds out when it makes the next offer */
}

gnt_err gnt_group_ready(struct gnt_home *home, uint64_t group, uint64_t member, uint32_t round)
{
    return gnt_home_mail(home, gnt_sink_home(group), on_ready, (void *)(uintptr_t)round, member,
                         group);
}

gnt_err gnt_group_bind(struct gnt_home *home, uint64_t group, uint64_t member,
                       struct gnt_rights *rights)
{
    struct gnt_rights *ref = gnt_rights_ref(rights);
    gnt_err err = gnt_home_mail(home, gnt_sink_home(group), on_bind, ref, member, group);
    if (err)
        gnt_rights_unref(&ref);
    return err;
}

void gnt_group_away(struct gnt_home *home, uint64_t group, uint64_t member)
{
    if (gnt_home_mail(home, gnt_sink_home(group), on_away, NULL, member, group))
        return; /* out of memory: the next offer says it */
}

gnt_err gnt_group_return(struct gnt_home *home, uint64_t group, uint64_t sequence,
                         struct gnt_message **message)
{
    gnt_err err = gnt_home_mail(home, gnt_sink_home(group), on_return, *message, sequence, group);
    if (!err)
        *message = NULL;
    return err;
}

void gnt_group_settled(struct gnt_home *home, uint64_t group, uint64_t sequence)
{
    unsigned at = gnt_sink_home(group);
    if (at == home->index)
        settled_here(home, group, sequence);
    else if (gnt_home_mail(home, at, on_settled, NULL, sequence, group))
        return; /* out of memory: it may come again after a restart */
}
