/* A set of values from a YAML text, by its option table.
 *
 * Every mistake becomes a line "NAME:LINE:COLUMN: what was found, what was expected", with the
 * nearest known word where one is near; reading goes on behind it, so that one run shows several.
 * Where the text is not YAML at all, libyaml's own words say so and reading ends there.
 *
 * Bounds: 1 MiB of text, 16 levels of nesting, no anchors, aliases or tags (nothing here needs
 * them), one document.  An empty document is a set of defaults. */
#ifndef GNT_CONF_YAML_H
#define GNT_CONF_YAML_H

#include "conf/diag.h"
#include "conf/option.h"

enum { GNT_YAML_MAX_BYTES = 1024 * 1024, GNT_YAML_MAX_DEPTH = 16 };

/* Replaces VALUES (initialised) by the table's defaults with TEXT over them.  NAME stands in front
 * of every line that goes into DIAG.  GNT_INVALID (DIAG says why) and GNT_NOMEM leave VALUES
 * untouched. */
GNT_MUST gnt_err gnt_yaml_parse(struct gnt_slice text, const char *name,
                                const struct gnt_option_table *table, void *values,
                                struct gnt_diag *diag);

/* The same for a file, whose path is the NAME.  A file that cannot be read is GNT_INVALID too. */
GNT_MUST gnt_err gnt_yaml_load(const char *path, const struct gnt_option_table *table, void *values,
                               struct gnt_diag *diag);

#endif
