#include "broker/access.h"

#include "base/log.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>

struct reading {
    const struct gnt_config *config;
    struct gnt_access *access;
    char *problem;
    size_t cap;
    size_t mistakes;
};

/* A gnt_lines_report; what is wrong with the rules of the configuration goes the same way.  The
 * first is for the caller to tell, further ones are for the log. */
static void on_mistake(void *context, const char *file, unsigned line, const char *why)
{
    struct reading *r = context;
    if (r->mistakes++ == 0)
        snprintf(r->problem, r->cap, "%s:%u: %s", file, line, why);
    else
        gnt_log(GNT_LOG_ERROR, NULL, "access", GNT_F_STR("file", file), GNT_F_NUM("line", line),
                GNT_F_STR("problem", why));
}

static gnt_err end_of_problem(struct reading *r)
{
    size_t used = strlen(r->problem);
    if (r->mistakes > 1)
        snprintf(r->problem + used, r->cap - used, " (the log has %zu more)", r->mistakes - 1);
    return r->mistakes ? GNT_INVALID : GNT_OK;
}

/* ---- Rules of the configuration */

/* KEY NULL: what is wrong concerns the whole of the rule. */
static void refuse(struct reading *r, const struct gnt_config_rule *rule, const char *key,
                   const char *expected, const char *got)
{
    enum { GOT_MAX = 200, WHY_MAX = 400 };
    char shown[GOT_MAX], why[WHY_MAX];
    const char *file = r->config->file ? r->config->file : "configuration";
    gnt_utf8_printable(gnt_slice_str(got), shown, sizeof shown);
    snprintf(why, sizeof why, "access[%zu]%s%s: %s%s%s%s", (size_t)(rule - r->config->access.items),
             key ? "." : "", key ? key : "", expected, got ? ", got '" : "", got ? shown : "",
             got ? "'" : "");
    on_mistake(r, file, rule->line, why);
}

static const char words_expected[] = "expected publish, subscribe, receive, send, listen or manage";

/* The verbs that WORDS name; 0: the mistake has been told. */
static uint8_t verbs_of(struct reading *r, const struct gnt_config_rule *rule, const char *key,
                        const struct gnt_strings *words)
{
    unsigned verbs = 0;
    for (size_t i = 0; i < words->count; i++) {
        uint8_t one = gnt_access_verbs(gnt_slice_str(words->items[i]));
        if (!one) {
            refuse(r, rule, key, words_expected, words->items[i]);
            return 0;
        }
        verbs |= one;
    }
    return (uint8_t)verbs;
}

static gnt_err add_rule(struct reading *r, const struct gnt_config_rule *rule)
{
    bool permits = rule->may.count > 0;
    const char *why;
    if (permits == (rule->may_not.count > 0)) {
        refuse(r, rule, NULL, "expected either may or may_not", NULL);
        return GNT_OK;
    }
    const struct gnt_access_rule made = {
        .who = gnt_slice_str(rule->who),
        .verbs = permits ? verbs_of(r, rule, "may", &rule->may)
                         : verbs_of(r, rule, "may_not", &rule->may_not),
        .permits = permits,
        .on = gnt_slice_str(rule->on),
    };
    gnt_err err = made.verbs ? gnt_access_add(r->access, &made, &why) : GNT_OK;
    if (err == GNT_INVALID)
        refuse(r, rule, "on", why, rule->on);
    return err == GNT_INVALID ? GNT_OK : err;
}

/* ---- The whole */

static gnt_err read_file(struct reading *r, const char *file)
{
    gnt_err err = gnt_access_load(r->access, file, on_mistake, r);
    if (err == GNT_MALFORMED)
        return GNT_OK; /* every mistake has been told */
    if (!err || err == GNT_NOMEM)
        return err;
    if (r->mistakes++ == 0)
        snprintf(r->problem, r->cap, "access_file: %s: %s", file, strerror(errno));
    return GNT_OK;
}

static gnt_err fill(struct reading *r, const char *file)
{
    const struct gnt_config_rules *rules = &r->config->access;
    gnt_err err = GNT_OK;
    for (size_t i = 0; i < rules->count && !err; i++)
        err = add_rule(r, &rules->items[i]);
    if (!err && file)
        err = read_file(r, file);
    if (!err)
        err = end_of_problem(r);
    return err ? err : gnt_access_seal(r->access);
}

gnt_err gnt_access_read(const struct gnt_config *config, struct gnt_access **out, char *problem,
                        size_t cap)
{
    struct reading r = {.config = config, .problem = problem, .cap = cap};
    const char *file = gnt_config_access_file(config);
    *out = NULL;
    if (!file && config->access.count == 0)
        return GNT_OK;
    gnt_err err = gnt_access_new(&r.access);
    if (!err)
        err = fill(&r, file);
    if (err) {
        gnt_access_unref(&r.access);
        return err;
    }
    gnt_log(GNT_LOG_INFO, NULL, "access", GNT_F_NUM("rules", config->access.count),
            GNT_F_STR("file", file ? file : "none"));
    *out = r.access;
    return GNT_OK;
}
