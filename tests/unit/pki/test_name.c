#include "support/alloc_fault.h"
#include "support/unit.h"

#include "pki/name.h"

#include <stdio.h>
#include <stdlib.h>

/* What TEXT comes back as. */
static char *again(const char *text, struct gnt_pki_why *why)
{
    static char out[2048];
    X509_NAME *name = NULL;
    struct gnt_buf printed = {NULL, 0, 0, 0};
    if (gnt_name_parse(text, &name, why))
        return NULL;
    assert_int_equal(gnt_name_print(name, &printed), GNT_OK);
    struct gnt_slice all = gnt_buf_slice(&printed);
    (void)snprintf(out, sizeof out, "%.*s", (int)all.size, (const char *)all.data);
    gnt_buf_fini(&printed);
    X509_NAME_free(name);
    return out;
}

static void reads_and_prints(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
    } rows[] = {
        {"CN=a", "CN=a"},
        {" cn = a , o=b  c ,C=GB ", "CN=a, O=b  c, C=GB"},
        {"CN=a+OU=b,O=c", "CN=a + OU=b, O=c"},
        {"CN=\\ a\\ ", "CN=\\ a\\ "},
        {"CN=\\#a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h\\=i", "CN=\\#a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h=i"},
        {"CN=caf\\c3\\A9", "CN=caf\xc3\xa9"},
        {"CN=caf\xc3\xa9", "CN=caf\xc3\xa9"},
        {"DC=a,DC=b", "DC=a, DC=b"},
        {"e=a@b,s=x,street=y", "emailAddress=a@b, ST=x, street=y"},
        {"2.5.4.3=a", "CN=a"},
        {"CN=\\#,O=#", "CN=#, O=#"},
        {"CN=#+OU=#  ,O=# ", "CN=# + OU=#, O=#"},
    };
    struct gnt_pki_why why;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *printed = again(rows[i].text, &why);
        assert_non_null(printed);
        assert_string_equal(printed, rows[i].printed);
        assert_string_equal(again(rows[i].printed, &why), rows[i].printed);
    }
}

static void keeps_the_order_of_x500(void **state)
{
    (void)state;
    X509_NAME *name = NULL;
    struct gnt_pki_why why;
    assert_int_equal(gnt_name_parse("CN=a, O=b, C=GB", &name, &why), GNT_OK);
    char *line = X509_NAME_oneline(name, NULL, 0);
    assert_string_equal(line, "/C=GB/O=b/CN=a");
    OPENSSL_free(line);
    X509_NAME_free(name);
}

static void refuses_what_is_no_name(void **state)
{
    (void)state;
    static const char *const rows[] = {"",        " ",        "a",         "=a",      "CN",
                                       "CN=a,",   ",CN=a",    "CN=a,,O=b", "XX=a",    "C=GBR",
                                       "CN=",     "CN=a;b",   "CN=\"a\"",  "CN=#04",  "CN=a\\",
                                       "CN=a\\x", "CN=a\\0",  "CN=a\\00",  "CN=\\ff", "CN=\xff",
                                       "9.9.9=a", "CN=a+",    "1.2.3=a",   "CN=a<b",  "CN=a>b",
                                       "C\xc3=a", "CN==a\\z", "CN=a\nb\\z"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_pki_why why = {""};
        if (again(rows[i], &why))
            fail_msg("'%s' was taken", rows[i]);
        assert_int_not_equal(why.text[0], '\0');
    }
}

static void bounds_a_value(void **state)
{
    (void)state;
    struct gnt_pki_why why;
    char text[3 * GNT_NAME_TEXT_MAX] = "L=";
    memset(text + 2, 'a', 129);
    assert_null(again(text, &why)); /* X.520's bound */
    text[2 + 128] = '\0';
    assert_string_equal(again(text, &why), text);
    memset(text + 2, 'a', GNT_NAME_TEXT_MAX + 1);
    assert_null(again(text, &why));
    memset(text, 'A', 100);
    text[100] = '=';
    assert_null(again(text, &why));
}

static void escapes_what_is_given(void **state)
{
    (void)state;
    static const char *const rows[] = {"plain", " a b ", ",+\"\\<>;=#", "#1", "caf\xc3\xa9"};
    struct gnt_pki_why why;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[64] = "CN=", common[64];
        X509_NAME *name = NULL;
        gnt_name_escape(rows[i], text + 3, sizeof text - 3);
        assert_int_equal(gnt_name_parse(text, &name, &why), GNT_OK);
        assert_string_equal(gnt_name_common(name, common, sizeof common), rows[i]);
        X509_NAME_free(name);
    }
    char small[5];
    assert_string_equal(gnt_name_escape(",,,,", small, sizeof small), "\\,\\,");
    X509_NAME *none = X509_NAME_new();
    char common[16] = "x";
    assert_string_equal(gnt_name_common(none, common, sizeof common), "");
    X509_NAME_free(none);
}

static void shows_nothing_raw(void **state)
{
    (void)state;
    struct gnt_pki_why why;
    assert_string_equal(again("CN=a\\1b[31m", &why), "CN=a\\1B[31m");
    assert_string_equal(again("CN=\\c3\\a9\\c2\\9b", &why), "CN=\\C3\\A9\\C2\\9B");
    assert_null(again("CN=\\", &why));
}

static void survives_any_allocation_failure(void **state)
{
    (void)state;
    struct gnt_pki_why why;
    for (long n = 0;; n++) {
        X509_NAME *name = NULL;
        struct gnt_buf out = {NULL, 0, 0, 0};
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_name_parse("CN=a", &name, &why);
        if (!err)
            err = gnt_name_print(name, &out);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        X509_NAME_free(name);
        gnt_buf_fini(&out);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_prints),
        cmocka_unit_test(keeps_the_order_of_x500),
        cmocka_unit_test(refuses_what_is_no_name),
        cmocka_unit_test(bounds_a_value),
        cmocka_unit_test(escapes_what_is_given),
        cmocka_unit_test(shows_nothing_raw),
        cmocka_unit_test(survives_any_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
