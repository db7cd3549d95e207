#include "auth/rules.h"

#include "base/assert.h"
#include "model/topic.h"

#include <stdlib.h>

/* How a filter is compared. */
enum shape {
    EXACT,  /* without wildcards */
    BELOW,  /* text with "/#" behind it */
    ALL,    /* "#" */
    LEVELS, /* any other */
};

struct entry {
    uint32_t at, size; /* in `text`; of BELOW without its end */
    uint8_t verbs;
    uint8_t shape;
    bool permits;
};

/* With fewer rules it is quicker to look at one after the other. */
enum { MANY = 32 };

/* `order` sorts the filters level by level, so that those with the same first levels stand
 * together: a tree without nodes, in which a topic name goes down by bisection. */
struct gnt_rules {
    uint32_t count;
    uint32_t *order; /* NULL: few */
    const uint8_t *text;
    struct entry entries[]; /* behind them `order`, then `text` */
};

static struct gnt_slice filter_of(const struct gnt_rules *r, size_t index)
{
    const struct entry *e = &r->entries[index];
    return gnt_slice(r->text + e->at, e->size + (e->shape == BELOW ? 2 : 0));
}

size_t gnt_rules_count(const struct gnt_rules *rules)
{
    return rules ? rules->count : 0;
}

struct gnt_rule gnt_rules_at(const struct gnt_rules *rules, size_t index)
{
    const struct entry *e = &rules->entries[index];
    return (struct gnt_rule){filter_of(rules, index), e->verbs, e->permits};
}

/* ---- Making */

static struct entry entry_of(const struct gnt_rule *rule, uint32_t at)
{
    struct gnt_slice f = rule->filter, head = f;
    struct entry e = {at, (uint32_t)f.size, rule->verbs, LEVELS, rule->permits};
    if (f.size > 1 && memcmp(f.data + f.size - 2, "/#", 2) == 0)
        head.size -= 2;
    if (gnt_slice_eq_str(f, "#")) {
        e.shape = ALL;
    } else if (!gnt_topic_has_wildcard(head)) {
        e.shape = head.size < f.size ? BELOW : EXACT;
        e.size = (uint32_t)head.size;
    }
    return e;
}

/* A slash before any other byte, the end before that. */
static unsigned rank(struct gnt_slice text, size_t i)
{
    return i == text.size ? 0 : text.data[i] == '/' ? 1 : text.data[i] + 2u;
}

static int compare(const void *one, const void *other, void *context)
{
    const uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    struct gnt_slice x = filter_of(context, a), y = filter_of(context, b);
    size_t i = 0;
    while (i < x.size && i < y.size && x.data[i] == y.data[i])
        i++;
    unsigned p = rank(x, i), q = rank(y, i);
    return p != q ? (p < q ? -1 : 1) : (a > b) - (a < b);
}

static void sort(struct gnt_rules *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        r->order[i] = i;
    qsort_r(r->order, r->count, sizeof *r->order, compare, r);
}

gnt_err gnt_rules_new(const struct gnt_rule *rules, size_t count, struct gnt_rules **out)
{
    size_t ordered = count < MANY ? 0 : count;
    uint64_t text = 0; /* no filter is empty, so this bounds `count`, too */
    for (size_t i = 0; i < count; i++)
        text += rules[i].filter.size;
    if (text > UINT32_MAX)
        return GNT_TOOBIG;
    struct gnt_rules *r =
        malloc(sizeof *r + count * sizeof *r->entries + ordered * sizeof *r->order + (size_t)text);
    if (!r)
        return GNT_NOMEM;
    uint32_t *order = (uint32_t *)(void *)(r->entries + count);
    uint8_t *to = (uint8_t *)(order + ordered);
    r->count = (uint32_t)count;
    r->order = ordered ? order : NULL;
    r->text = to;
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        struct gnt_slice filter = rules[i].filter;
        r->entries[i] = entry_of(&rules[i], at);
        memcpy(to + at, filter.data, filter.size);
        at += (uint32_t)filter.size;
    }
    if (r->order)
        sort(r);
    *out = r;
    return GNT_OK;
}

void gnt_rules_free(struct gnt_rules **rules)
{
    free(*rules);
    *rules = NULL;
}

/* ---- Few */

static bool matches(const struct gnt_rules *r, const struct entry *e, struct gnt_slice topic)
{
    struct gnt_slice text = gnt_slice(r->text + e->at, e->size);
    switch ((enum shape)e->shape) {
    case EXACT: return gnt_slice_eq(text, topic);
    case BELOW:
        return gnt_slice_starts(topic, text) &&
               (topic.size == text.size || topic.data[text.size] == '/');
    case ALL: return topic.size == 0 || topic.data[0] != '$'; /* [MQTT-4.7.2-1] */
    case LEVELS: return gnt_topic_matches(text, topic);
    }
    return false;
}

static size_t one_after_the_other(const struct gnt_rules *r, uint8_t verb, struct gnt_slice topic)
{
    size_t i = 0;
    while (i < r->count && !(r->entries[i].verbs & verb && matches(r, &r->entries[i], topic)))
        i++;
    return i;
}

/* ---- Many */

struct search {
    const struct gnt_rules *rules;
    uint8_t verb;
    uint32_t best; /* the least index that has been found */
};

/* Filters order[lo] to order[hi - 1], whose text is the same up to `at`. */
struct range {
    uint32_t lo, hi;
    size_t at;
};

/* The same filter several times, the first of them first. */
static void consider(struct search *s, struct range same)
{
    const struct gnt_rules *r = s->rules;
    for (uint32_t i = same.lo; i < same.hi && r->order[i] < s->best; i++)
        if (r->entries[r->order[i]].verbs & s->verb)
            s->best = r->order[i];
}

/* How the level of FILTER that begins at AT stands to LEVEL: before it, it, behind it. */
static int compare_level(struct gnt_slice filter, size_t at, struct gnt_slice level)
{
    struct gnt_slice rest = gnt_slice_skip(filter, at);
    size_t i = 0;
    while (i < rest.size && i < level.size && rest.data[i] == level.data[i])
        i++;
    unsigned p = rank(rest, i), q = rank(level, i);
    p = p < 2 ? 0 : p; /* here a slash ends it */
    return (p > q) - (p < q);
}

/* The first in FROM whose level does not stand before LEVEL, or, with BEHIND, not at it either. */
static uint32_t bisect(const struct gnt_rules *r, struct range from, struct gnt_slice level,
                       bool behind)
{
    while (from.lo < from.hi) {
        uint32_t middle = from.lo + (from.hi - from.lo) / 2;
        if (compare_level(filter_of(r, r->order[middle]), from.at, level) < behind)
            from.lo = middle + 1;
        else
            from.hi = middle;
    }
    return from.lo;
}

/* Those of FROM whose next level is LEVEL. */
static struct range narrow(const struct gnt_rules *r, struct range from, struct gnt_slice level)
{
    struct range to = {bisect(r, from, level, false), from.hi, from.at + level.size};
    to.hi = bisect(r, (struct range){to.lo, from.hi, from.at}, level, true);
    return to;
}

/* FROM have the levels of the topic up to here, and REST is left of it.  True: go on behind the
 * slash.  False: the topic ends here, and what ends with it has been considered. */
static bool pass_level(struct search *s, struct range *from, struct gnt_slice rest)
{
    const struct gnt_rules *r = s->rules;
    struct range ended = *from;
    while (from->lo < from->hi && filter_of(r, r->order[from->lo]).size == from->at)
        from->lo++;
    ended.hi = from->lo;
    from->at++;
    if (rest.data)
        return true;
    consider(s, ended);
    consider(s, narrow(r, *from, gnt_slice_str("#"))); /* "a/#" matches "a" */
    return false;
}

/* It calls itself for `+`, so no deeper than a filter has of those, which access.h bounds. */
static void descend(struct search *s, struct range from, struct gnt_slice rest)
{
    struct gnt_slice level;
    while (from.lo < from.hi && gnt_topic_next_level(&rest, &level)) {
        bool hidden = from.at == 0 && level.size && level.data[0] == '$'; /* [MQTT-4.7.2-1] */
        if (!hidden) {
            struct range any = narrow(s->rules, from, gnt_slice_str("+"));
            consider(s, narrow(s->rules, from, gnt_slice_str("#")));
            if (pass_level(s, &any, rest))
                descend(s, any, rest);
        }
        from = narrow(s->rules, from, level);
        if (!pass_level(s, &from, rest))
            return;
    }
}

static size_t level_by_level(const struct gnt_rules *r, uint8_t verb, struct gnt_slice topic)
{
    struct search s = {r, verb, r->count};
    descend(&s, (struct range){0, r->count, 0}, topic);
    return s.best;
}

size_t gnt_rules_first(const struct gnt_rules *rules, uint8_t verb, struct gnt_slice topic)
{
    if (!rules)
        return 0;
    return rules->order ? level_by_level(rules, verb, topic)
                        : one_after_the_other(rules, verb, topic);
}
