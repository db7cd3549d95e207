#include "model/topic.h"

#include "base/utf8.h"

static bool size_valid(struct gnt_slice topic)
{
    return topic.size > 0 && topic.size <= GNT_TOPIC_MAX; /* [MQTT-4.7.3-1], [MQTT-4.7.3-3] */
}

static bool depth_valid(size_t levels, size_t max_levels)
{
    return max_levels == 0 || levels <= max_levels;
}

/* Which of the eight bytes of WORD are C: the high bit of each that is. */
static uint64_t bytes_that_are(uint64_t word, char c)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t x = word ^ UINT64_C(0x0101010101010101) * (uint8_t)c;
    return ~(((x & low) + low) | x | low);
}

/* Every message's topic comes by here, so it looks at eight bytes at once. */
bool gnt_topic_name_valid(struct gnt_slice name, size_t max_levels)
{
    if (!size_valid(name))
        return false;
    size_t levels = 1;
    for (size_t at = 0, n; at < name.size; at += n) {
        uint64_t word = 0;
        n = name.size - at < sizeof word ? name.size - at : sizeof word;
        if (n == sizeof word)
            memcpy(&word, name.data + at, sizeof word);
        else
            for (size_t i = 0; i < n; i++)
                word |= (uint64_t)name.data[at + i] << 8 * i;
        if (bytes_that_are(word, '+') | bytes_that_are(word, '#')) /* [MQTT-3.3.2-2] */
            return false;
        for (uint64_t slashes = bytes_that_are(word, '/'); slashes; slashes &= slashes - 1)
            levels++;
    }
    return depth_valid(levels, max_levels) && gnt_utf8_valid(name);
}

bool gnt_topic_filter_valid(struct gnt_slice filter, size_t max_levels)
{
    if (!size_valid(filter))
        return false;
    size_t levels = 1;
    for (size_t i = 0, start = 0; i < filter.size; i++) {
        uint8_t c = filter.data[i];
        if (c == '/') {
            levels++;
            start = i + 1;
            continue;
        }
        if (c != '+' && c != '#')
            continue;
        bool last = i + 1 == filter.size;
        bool ends_level = last || (c == '+' && filter.data[i + 1] == '/');
        if (i != start || !ends_level) /* [MQTT-4.7.1-1], [MQTT-4.7.1-2] */
            return false;
    }
    return depth_valid(levels, max_levels) && gnt_utf8_valid(filter);
}

bool gnt_topic_has_wildcard(struct gnt_slice filter)
{
    for (size_t i = 0; i < filter.size; i++)
        if (filter.data[i] == '+' || filter.data[i] == '#')
            return true;
    return false;
}

bool gnt_topic_next_level(struct gnt_slice *rest, struct gnt_slice *level)
{
    if (!rest->data)
        return false;
    const uint8_t *slash = rest->size ? memchr(rest->data, '/', rest->size) : NULL;
    if (!slash) {
        *level = *rest;
        *rest = (struct gnt_slice){NULL, 0};
        return true;
    }
    *level = gnt_slice(rest->data, (size_t)(slash - rest->data));
    *rest = gnt_slice_skip(*rest, level->size + 1);
    return true;
}

/* What starts LEVEL of a valid filter is the whole of it if it is a wildcard. */
static bool is(struct gnt_slice level, char wildcard)
{
    return level.size > 0 && level.data[0] == wildcard;
}

bool gnt_topic_matches(struct gnt_slice filter, struct gnt_slice name)
{
    struct gnt_slice want, have;
    if (is(name, '$') && (is(filter, '+') || is(filter, '#'))) /* [MQTT-4.7.2-1] */
        return false;
    while (gnt_topic_next_level(&filter, &want)) {
        if (is(want, '#')) /* the parent level, too: "a/#" matches "a" [MQTT5 4.7.1.2] */
            return true;
        if (!gnt_topic_next_level(&name, &have))
            return false;
        if (!is(want, '+') && !gnt_slice_eq(want, have))
            return false;
    }
    return name.data == NULL;
}

gnt_err gnt_topic_share(struct gnt_slice filter, struct gnt_share *out)
{
    struct gnt_slice first, group, rest = filter;
    if (!gnt_topic_next_level(&rest, &first) || !rest.data || !gnt_slice_eq_str(first, "$share"))
        return GNT_NOTFOUND;
    if (!gnt_topic_next_level(&rest, &group) || group.size == 0) /* [MQTT-4.8.2-1] */
        return GNT_INVALID;
    if (gnt_topic_has_wildcard(group) || rest.size == 0) /* [MQTT-4.8.2-2] */
        return GNT_INVALID;
    *out = (struct gnt_share){group, rest};
    return GNT_OK;
}

bool gnt_topic_queue(struct gnt_slice topic, struct gnt_slice *name)
{
    const struct gnt_slice prefix = gnt_slice_str(GNT_TOPIC_QUEUE);
    if (topic.size <= prefix.size || !gnt_slice_starts(topic, prefix))
        return false;
    *name = gnt_slice_skip(topic, prefix.size);
    return true;
}
