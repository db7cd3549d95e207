#include "conf/setting.h"

#include "base/utf8.h"
#include "conf/config.h"

static int unknown_setting(const char *path, struct gnt_why *why)
{
    char shown[64];
    struct gnt_nearest near =
        gnt_nearest(gnt_utf8_printable(gnt_slice_str(path), shown, sizeof shown));
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        if (gnt_config_table.rows[i].path)
            gnt_nearest_offer(&near, gnt_config_table.rows[i].path);
    }
    if (near.word)
        gnt_why_set(why, "unknown option '%s', did you mean '%s'?", shown, near.word);
    else
        gnt_why_set(why, "unknown option '%s'", shown);
    return GNT_INVALID;
}

int gnt_setting_take(const struct gnt_option *row, void *values, int count, char *const *words,
                     struct gnt_why *why)
{
    const char *equals = count > 0 ? strchr(words[0], '=') : NULL;
    char path[64];
    struct gnt_why inner;
    if (!equals || (size_t)(equals - words[0]) >= sizeof path) {
        gnt_why_set(why, "expected %s, such as limits.packet=1MiB", row->metavar);
        return GNT_INVALID;
    }
    memcpy(path, words[0], (size_t)(equals - words[0]));
    path[equals - words[0]] = '\0';

    const struct gnt_option *set = gnt_option_find(&gnt_config_table, path);
    if (!set)
        return unknown_setting(path, why);
    if (set->kind == GNT_OPTION_MAPS) {
        if (set->flag)
            gnt_why_set(why, "%s is a list; give it by --%s", path, set->flag);
        else
            gnt_why_set(why, "%s is a list of maps, which stands in a file only", path);
        return GNT_INVALID;
    }
    gnt_err err = gnt_option_set(set, values, gnt_slice_str(equals + 1), &inner);
    if (err == GNT_INVALID)
        gnt_why_set(why, "%s: %s", path, inner.text);
    return err ? err : 1;
}
