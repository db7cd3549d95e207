/* A user, a client, a topic, a filter and any bytes as an acl_file, one line each and the rest: no
 * crash, no leak; a list with mistakes is refused; the rules of the file, found level by level or
 * one after the other, say what a plain look at each says; a subscription gets no more and no less
 * than its topics. */
#include "auth/access.h"
#include "auth/rules.h"
#include "base/assert.h"
#include "fuzz.h"
#include "lines.h"
#include "model/topic.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned told;

static void report(void *context, const char *file, unsigned line, const char *why)
{
    (void)context;
    (void)file;
    GNT_ASSERT(line > 0 && why && why[0]);
    told++;
}

static void use(const struct gnt_rights *rights, struct gnt_slice topic, struct gnt_slice filter)
{
    if (!gnt_topic_filter_valid(filter, 0))
        return;
    enum gnt_reach reach = gnt_rights_may_subscribe(rights, filter);
    if (!gnt_topic_name_valid(topic, 0))
        return;
    bool may = gnt_rights_may(rights, GNT_VERB_RECEIVE, topic);
    struct gnt_share share;
    gnt_err err = gnt_topic_share(filter, &share);
    if (err == GNT_INVALID || (!err && !gnt_topic_filter_valid(share.filter, 0)))
        return;
    if (gnt_topic_matches(err ? filter : share.filter, topic))
        GNT_ASSERT(may ? reach != GNT_REACH_NONE : reach != GNT_REACH_ALL);
}

static void check_file(struct gnt_slice user, struct gnt_slice client, struct gnt_slice topic,
                       struct gnt_slice filter, struct gnt_slice text)
{
    struct gnt_access *access = NULL;
    struct gnt_rights *rights = NULL;
    const char *why;
    char path[64];
    int fd = memfd_create("acl", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text.data, text.size) != (ssize_t)text.size || gnt_access_new(&access))
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    told = 0;
    gnt_err err = gnt_access_load(access, path, report, NULL);
    close(fd);
    GNT_ASSERT(err == (told ? GNT_MALFORMED : GNT_OK));
    const struct gnt_access_rule rule = {user, gnt_access_verbs(gnt_slice_str("subscribe")),
                                         text.size % 2 == 0, filter};
    gnt_err added = gnt_access_add(access, &rule, &why);
    GNT_ASSERT(added == (why ? GNT_INVALID : GNT_OK));
    err = gnt_access_seal(access);
    GNT_ASSERT(!err);
    const struct gnt_principal who = {user, client};
    err = gnt_access_rights(access, who, &rights);
    GNT_ASSERT(!err && rights);
    gnt_access_unref(&access);
    use(rights, topic, filter);
    gnt_rights_unref(&rights);
}

/* The filters that stand line by line in TEXT as rules, each of which matches or does not. */
static void check_rules(struct gnt_slice topic, struct gnt_slice text)
{
    enum { MOST = 64 };
    struct gnt_rule rules[MOST];
    struct gnt_rules *made;
    size_t count = 0, first = 0;
    while (text.size && count < MOST) {
        struct gnt_slice line = take_line(&text);
        if (gnt_topic_filter_valid(line, GNT_ACCESS_LEVELS_MAX))
            rules[count++] = (struct gnt_rule){line, line.size % 3 ? 1 : 2, true};
    }
    if (!gnt_topic_name_valid(topic, 0))
        return;
    gnt_err err = gnt_rules_new(rules, count, &made);
    GNT_ASSERT(!err);
    while (first < count &&
           !(rules[first].verbs == 1 && gnt_topic_matches(rules[first].filter, topic)))
        first++;
    GNT_ASSERT(gnt_rules_first(made, 1, topic) == first);
    gnt_rules_free(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gnt_slice text = gnt_slice(data, size);
    struct gnt_slice user = take_line(&text), client = take_line(&text), topic = take_line(&text),
                     filter = take_line(&text);
    check_file(user, client, topic, filter, text);
    check_rules(topic, text);
    return 0;
}
