/* Any bytes as a configuration file: no crash, no leak, and what is refused has a reason. */
#include "base/assert.h"
#include "conf/config.h"
#include "conf/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be shown and compared. */
static void use(const struct gnt_config *config)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        if (gnt_option_text(&gnt_config_table.rows[i], config, &text))
            break;
    }
    gnt_buf_fini(&text);
    GNT_ASSERT(config->listeners.count > 0);
    GNT_ASSERT(gnt_config_diff(config, config, NULL, 0) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gnt_config config = {.file = NULL};
    struct gnt_diag diag = {.count = 0};
    gnt_err err = gnt_yaml_parse(gnt_slice(data, size), "fuzz", &gnt_config_table, &config, &diag);
    GNT_ASSERT((err == GNT_INVALID) == (diag.mistakes > 0));
    if (!err)
        use(&config);
    gnt_config_fini(&config);
    gnt_diag_fini(&diag);
    return 0;
}
