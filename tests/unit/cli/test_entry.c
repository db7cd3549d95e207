/* NAME=VALUE and NAME:TYPE=VALUE. */
#include "support/unit.h"

#include "cli/entry.h"
#include "support/alloc_fault.h"

static void good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *shown;
    } rows[] = {
        {"a=b=c", "a", "\"b=c\""},
        {"a=", "a", "\"\""},
        {"a b=c", "a b", "\"c\""},
        {"url:http=x", "url:http", "\"x\""},
        {"a:int:string=x", "a:int", "\"x\""},
        {"a:string=int:5", "a", "\"int:5\""},
        {"a:symbol=x", "a", "'x'"},
        {"a:boolean=yes", "a", "true"},
        {"a:ubyte=255", "a", "ubyte 255"},
        {"a:ushort=65535", "a", "ushort 65535"},
        {"a:uint=4294967295", "a", "uint 4294967295"},
        {"a:ulong=18446744073709551615", "a", "ulong 18446744073709551615"},
        {"a:byte=-128", "a", "byte -128"},
        {"a:short=-32768", "a", "short -32768"},
        {"a:int=-2147483648", "a", "int -2147483648"},
        {"a:long=-9223372036854775808", "a", "long -9223372036854775808"},
        {"a:long=9223372036854775807", "a", "long 9223372036854775807"},
        {"a:double=-0.5", "a", "double -0.5"},
        {"a:float=1e3", "a", "float 1000"},
        {"a:null=", "a", "null"},
        {"a:binary=00FFab", "a", "b\"\\x00\\xff\\xab\""},
        {"a:binary=", "a", "b\"\""},
        {"a:uuid=00112233-4455-6677-8899-aabbccddeeff", "a",
         "00112233-4455-6677-8899-aabbccddeeff"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_entry e;
        struct gnt_why why;
        char shown[128];
        assert_int_equal(gnt_entry_check(rows[i].text, &why), GNT_OK);
        assert_int_equal(gnt_entry_read(rows[i].text, &e, &why), GNT_OK);
        assert_string_equal(e.name, rows[i].name);
        assert_string_equal(gnatter_amqp_show(&e.value, shown, sizeof shown), rows[i].shown);
        gnt_entry_fini(&e);
    }
}

static void bad(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "a",
        "=x",
        ":int=5",
        "a:ubyte=256",
        "a:uint=-1",
        "a:uint=+1",
        "a:uint=",
        "a:byte=128",
        "a:byte=-129",
        "a:int=--1",
        "a:int=1.0",
        "a:boolean=2",
        "a:double=",
        "a:double=1x",
        "a:null=x",
        "a:binary=0",
        "a:binary=0g",
        "a:binary=0-0",
        "a:uuid=00",
        "a\xff=x",
        "a=\xff",
        "a:long=9223372036854775808",
        "a:ulong=18446744073709551616",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_why why = {""};
        if (gnt_entry_check(rows[i], &why) != GNT_INVALID)
            fail_msg("%s is taken", rows[i]);
        assert_true(strncmp(why.text, "expected ", 9) == 0);
    }
    char name[GNT_ENTRY_NAME_MAX + 4];
    struct gnt_why why;
    memset(name, 'a', sizeof name);
    memcpy(name + GNT_ENTRY_NAME_MAX, "=", 2);
    assert_int_equal(gnt_entry_check(name, &why), GNT_OK);
    memcpy(name + GNT_ENTRY_NAME_MAX, "a=", 3);
    assert_int_equal(gnt_entry_check(name, &why), GNT_INVALID);
}

static void out_of_memory(void **state)
{
    (void)state;
    struct gnt_entry e;
    struct gnt_why why;
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_entry_read("a:binary=00", &e, &why), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
