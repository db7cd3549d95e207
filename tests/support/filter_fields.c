#include "support/filter_fields.h"

bool filter_fields_lookup(void *fields, const struct gnt_filter_name *name,
                          struct gnt_filter_value *out)
{
    for (const struct filter_field *f = fields; f->name; f++) {
        if (gnt_slice_eq_str(name->text, f->name)) {
            *out = f->value;
            return true;
        }
    }
    return false;
}
