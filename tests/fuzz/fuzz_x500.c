/* An X.500 name as text.  Whatever is taken comes back from its own printing as the same name, and
 * nothing in that can move a terminal. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "pki/name.h"

#include <stdlib.h>

/* TEXT with a zero byte behind it; it ends at the first one. */
static char *copy(struct gnt_slice text)
{
    char *out = malloc(text.size + 1);
    GNT_ASSERT(out != NULL);
    if (text.size)
        memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return out;
}

static char *print(const X509_NAME *name)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    gnt_err err = gnt_name_print(name, &text);
    GNT_ASSERT(err == GNT_OK);
    char *out = copy(gnt_buf_slice(&text));
    gnt_buf_fini(&text);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gnt_pki_why why = {""};
    X509_NAME *name = NULL, *same = NULL;
    char *text = copy(gnt_slice(data, size));
    gnt_err err = gnt_name_parse(text, &name, &why);
    GNT_ASSERT(err == GNT_OK || why.text[0] != '\0');
    GNT_ASSERT(err == GNT_OK || name == NULL);
    if (!err) {
        char *printed = print(name);
        for (const char *at = printed; *at; at++)
            GNT_ASSERT((unsigned char)*at >= ' ' && *at != 0x7f);
        GNT_ASSERT(gnt_utf8_valid(gnt_slice_str(printed)));
        err = gnt_name_parse(printed, &same, &why);
        GNT_ASSERT(err == GNT_OK && X509_NAME_cmp(name, same) == 0);
        free(printed);
    }
    X509_NAME_free(name);
    X509_NAME_free(same);
    free(text);
    return 0;
}
