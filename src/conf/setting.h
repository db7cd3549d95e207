/* --set OPTION=VALUE: any option of the configuration file, by its path, on the command line. */
#ifndef GNT_CONF_SETTING_H
#define GNT_CONF_SETTING_H

#include "conf/option.h"

/* The `take` of its row; VALUES are a struct gnt_config. */
int gnt_setting_take(const struct gnt_option *row, void *values, int count, char *const *words,
                     struct gnt_why *why);

#endif
