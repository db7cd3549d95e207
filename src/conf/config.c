#include "conf/config.h"
#include "conf/access_rules.h"
#include "conf/listeners.h"
#include "conf/queues.h"
#include "conf/reference.h"
#include "conf/yaml.h"

#include <stdlib.h>

gnt_err gnt_config_init(struct gnt_config *config)
{
    return gnt_options_init(&gnt_config_table, config);
}

void gnt_config_fini(struct gnt_config *config)
{
    gnt_options_fini(&gnt_config_table, config);
}

gnt_err gnt_config_load(const char *file, struct gnt_config *config, struct gnt_diag *diag)
{
    return gnt_yaml_load(file, &gnt_config_table, config, diag);
}

/* Where people look for it, too, if they have not said anything about listeners. */
static gnt_err add_usual(struct gnt_config *config)
{
    static const char *const urls[] = {"amqp://127.0.0.1:5672", "http://127.0.0.1:8080"};
    const struct gnt_option *row = gnt_option_find(&gnt_config_table, "listeners");
    struct gnt_why why;
    gnt_err err = GNT_OK;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0] && !err; i++) {
        err = gnt_option_set(row, config, gnt_slice_str(urls[i]), &why);
        if (!err)
            config->listeners.items[config->listeners.count - 1].optional = true;
    }
    return err;
}

/* The command line names the file that it overrides, so it is read twice: once to learn the file
 * and every mistake in the words themselves, then over what the file says. */
static gnt_err read_all(int argc, char **argv, struct gnt_config *fresh,
                        struct gnt_args_result *result, struct gnt_diag *diag)
{
    gnt_err err = gnt_args_parse(&gnt_config_arguments, argc, argv, fresh, result, diag);
    if (err || result->help || result->version || !fresh->file)
        return err;
    char *file = fresh->file;
    fresh->file = NULL;
    err = gnt_config_load(file, fresh, diag);
    free(file);
    if (err)
        return err;
    return gnt_args_parse(&gnt_config_arguments, argc, argv, fresh, result, diag);
}

gnt_err gnt_config_args(int argc, char **argv, struct gnt_config *config,
                        struct gnt_args_result *result, struct gnt_diag *diag)
{
    struct gnt_config fresh;
    gnt_err err = gnt_config_init(&fresh);
    if (err)
        return err;
    err = add_usual(&fresh);
    if (!err)
        err = read_all(argc, argv, &fresh, result, diag);
    if (err || result->help || result->version) {
        gnt_config_fini(&fresh);
        return err;
    }
    gnt_config_fini(config);
    *config = fresh;
    return GNT_OK;
}

/* A name that is "none" is none. */
static const char *unless_none(const char *name)
{
    return name && strcmp(name, "none") != 0 ? name : NULL;
}

const char *gnt_config_data(const struct gnt_config *config)
{
    return unless_none(config->data);
}

const char *gnt_config_users(const struct gnt_config *config)
{
    return unless_none(config->users);
}

const char *gnt_config_access_file(const struct gnt_config *config)
{
    return unless_none(config->access_file);
}

bool gnt_config_creates(const struct gnt_config *config)
{
    if (config->auto_create == GNT_CONFIG_AUTO_CREATE_UNDECLARED)
        return !config->queues.count;
    return config->auto_create == GNT_CONFIG_AUTO_CREATE_YES;
}

size_t gnt_config_diff(const struct gnt_config *a, const struct gnt_config *b,
                       const struct gnt_option **changed, size_t cap)
{
    size_t count = 0;
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        const struct gnt_option *row = &gnt_config_table.rows[i];
        if (!row->path || gnt_option_equal(row, a, b))
            continue;
        if (count < cap)
            changed[count] = row;
        count++;
    }
    return count;
}

gnt_err gnt_config_reference(struct gnt_buf *out)
{
    gnt_err err = gnt_text_put(out, "### Options\n\n");
    if (!err)
        err = gnt_reference_options(&gnt_config_table, out);
    if (!err)
        err = gnt_text_put(out, "\n### One listener\n\n");
    if (!err)
        err = gnt_reference_options(&gnt_listener_table, out);
    if (!err)
        err = gnt_text_put(out, "\n### One rule of access\n\n");
    if (!err)
        err = gnt_reference_options(&gnt_config_rule_table, out);
    if (!err)
        err = gnt_text_put(out, "\n### One queue\n\n");
    if (!err)
        err = gnt_reference_options(&gnt_config_queue_table, out);
    if (!err)
        err = gnt_text_put(out, "\n### On the command line only\n\n");
    return err ? err : gnt_reference_flags(&gnt_config_table, out);
}
