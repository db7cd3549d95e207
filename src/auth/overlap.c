#include "auth/overlap.h"

#include "model/topic.h"

/* A walk along what two filters have in common, which is a filter itself, level by level. */
struct meeting {
    struct gnt_slice rest[2];
    bool open[2]; /* `#` has been reached, which takes whatever the other one has */
    bool begun;
};

enum step {
    NOTHING, /* they have nothing in common */
    LEVEL,   /* the next level, text or `+` */
    END,
    OPEN, /* anything from here on: `#` */
};

static bool is(struct gnt_slice level, char wildcard)
{
    return level.size == 1 && level.data[0] == (uint8_t)wildcard;
}

static bool is_wildcard(struct gnt_slice level)
{
    return is(level, '+') || is(level, '#');
}

/* [MQTT-4.7.2-1] */
static bool is_hidden(struct gnt_slice level)
{
    return level.size && level.data[0] == '$';
}

/* What two levels, not both `#`, have in common; false: nothing. */
static bool level_both(struct gnt_slice a, struct gnt_slice b, bool first, struct gnt_slice *both)
{
    bool narrower_b = is(a, '#') || (is(a, '+') && !is(b, '#'));
    *both = narrower_b ? b : a;
    if (!is_wildcard(a) && !is_wildcard(b))
        return gnt_slice_eq(a, b);
    return !(first && is_hidden(*both));
}

static enum step next(struct meeting *m, struct gnt_slice *both)
{
    struct gnt_slice level[2] = {{NULL, 0}, {NULL, 0}};
    bool has[2], first = !m->begun;
    m->begun = true;
    for (int i = 0; i < 2; i++) {
        has[i] = !m->open[i] && gnt_topic_next_level(&m->rest[i], &level[i]);
        if (has[i] && is(level[i], '#'))
            m->open[i] = true;
        if (m->open[i])
            level[i] = gnt_slice_str("#");
    }
    if (m->open[0] && m->open[1])
        return OPEN;
    bool left[2] = {has[0] || m->open[0], has[1] || m->open[1]};
    if (left[0] && left[1])
        return level_both(level[0], level[1], first, both) ? LEVEL : NOTHING;
    bool ends = left[0] == left[1] || m->open[0] || m->open[1]; /* "a/#" has "a", too */
    return ends ? END : NOTHING;
}

bool gnt_filter_overlaps(struct gnt_slice a, struct gnt_slice b)
{
    struct meeting m = {.rest = {a, b}};
    struct gnt_slice level;
    enum step step;
    while ((step = next(&m, &level)) == LEVEL)
        ;
    return step != NOTHING;
}

bool gnt_filter_covers(struct gnt_slice whole, struct gnt_slice a, struct gnt_slice b)
{
    struct meeting m = {.rest = {a, b}};
    for (bool first = true;; first = false) {
        struct gnt_slice level, own;
        enum step step = next(&m, &level);
        bool has = gnt_topic_next_level(&whole, &own);
        if (step == NOTHING)
            return true;
        if (has && first && step == LEVEL && is_wildcard(own) && is_hidden(level))
            return false;
        if (has && is(own, '#'))
            return true;
        if (step != LEVEL)
            return step == END && !has;
        if (!has || !(is(own, '+') || gnt_slice_eq(own, level)))
            return false;
    }
}
