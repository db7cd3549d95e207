#include "conf/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void gnt_diag_init(struct gnt_diag *diag)
{
    *diag = (struct gnt_diag){.count = 0};
}

void gnt_diag_fini(struct gnt_diag *diag)
{
    for (size_t i = 0; i < diag->count; i++)
        free(diag->lines[i]);
    gnt_diag_init(diag);
}

void gnt_diag_add(struct gnt_diag *diag, const char *format, ...)
{
    diag->mistakes++;
    if (diag->count == GNT_DIAG_LINES)
        return;

    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *line = size < 0 ? NULL : malloc((size_t)size + 1);
    if (!line) {
        diag->nomem = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(line, (size_t)size + 1, format, arguments);
    va_end(arguments);
    diag->lines[diag->count++] = line;
}

gnt_err gnt_diag_result(const struct gnt_diag *diag)
{
    if (diag->nomem)
        return GNT_NOMEM;
    return diag->mistakes > 0 ? GNT_INVALID : GNT_OK;
}
