/* A filter and a name out of the input (split at its first newline).  Nothing may crash; what is
 * valid, and what matches what, is decided a second time here, character by character. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "model/topic.h"

/* Whether the character at I is a whole level. */
static bool alone(struct gnt_slice s, size_t i)
{
    bool left = i == 0 || s.data[i - 1] == '/';
    bool right = i + 1 == s.size || s.data[i + 1] == '/';
    return left && right;
}

static bool naive_valid(struct gnt_slice s, bool wildcards, size_t max_levels)
{
    size_t slashes = 0;
    for (size_t i = 0; i < s.size; i++) {
        bool plus = s.data[i] == '+', hash = s.data[i] == '#';
        if ((plus || hash) && (!wildcards || !alone(s, i)))
            return false;
        if (hash && i + 1 != s.size)
            return false;
        slashes += s.data[i] == '/';
    }
    if (s.size == 0 || s.size > 65535 || (max_levels && slashes + 1 > max_levels))
        return false;
    return gnt_utf8_valid(s);
}

/* Walks both, a character at a time. */
static bool naive_matches(struct gnt_slice f, struct gnt_slice n)
{
    size_t i = 0, k = 0;
    if (n.data[0] == '$' && (f.data[0] == '#' || f.data[0] == '+'))
        return false;
    while (i < f.size) {
        if (f.data[i] == '#')
            return true;
        if (f.data[i] == '+') {
            while (k < n.size && n.data[k] != '/')
                k++;
            i++;
        } else if (k < n.size && f.data[i] == n.data[k]) {
            i++;
            k++;
        } else {
            /* "a/#" and "a": only "/#" is left over */
            return k == n.size && f.size - i == 2 && f.data[i] == '/' && f.data[i + 1] == '#';
        }
    }
    return k == n.size;
}

static void check_levels(struct gnt_slice topic)
{
    struct gnt_slice rest = topic, level;
    size_t levels = 0, bytes = 0;
    while (gnt_topic_next_level(&rest, &level)) {
        GNT_ASSERT(!memchr(level.data, '/', level.size));
        bytes += level.size;
        levels++;
    }
    GNT_ASSERT(bytes + levels - 1 == topic.size);
}

static void check_share(struct gnt_slice filter)
{
    struct gnt_share share;
    static const char prefix[] = "$share/";
    bool shared = gnt_slice_starts(filter, gnt_slice_str(prefix));
    gnt_err err = gnt_topic_share(filter, &share);
    GNT_ASSERT((err == GNT_NOTFOUND) == !shared);
    if (err)
        return;
    GNT_ASSERT(share.group.size > 0 && share.filter.size > 0);
    GNT_ASSERT(share.group.data == filter.data + sizeof prefix - 1);
    GNT_ASSERT(share.filter.data == share.group.data + share.group.size + 1);
    GNT_ASSERT(share.filter.data + share.filter.size == filter.data + filter.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *split = size ? memchr(data, '\n', size) : NULL;
    struct gnt_slice filter = gnt_slice(data, split ? (size_t)(split - data) : size);
    struct gnt_slice name = gnt_slice(NULL, 0);
    if (split)
        name = gnt_slice(split + 1, size - filter.size - 1);
    for (size_t max = 0; max < 5; max++) {
        GNT_ASSERT(gnt_topic_filter_valid(filter, max) == naive_valid(filter, true, max));
        GNT_ASSERT(gnt_topic_name_valid(filter, max) == naive_valid(filter, false, max));
        GNT_ASSERT(gnt_topic_name_valid(name, max) == naive_valid(name, false, max));
    }
    check_share(filter);
    if (!gnt_topic_filter_valid(filter, 0))
        return 0;
    GNT_ASSERT(gnt_topic_has_wildcard(filter) != gnt_topic_name_valid(filter, 0));
    check_levels(filter);
    if (gnt_topic_name_valid(name, 0))
        GNT_ASSERT(gnt_topic_matches(filter, name) == naive_matches(filter, name));
    return 0;
}
