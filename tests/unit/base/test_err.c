#include "support/unit.h"

#include "base/err.h"

#include <errno.h>
#include <string.h>

static void test_texts(void **state)
{
    (void)state;
    static const gnt_err all[] = {
#define ROW(name, value, text) GNT_##name,
        GNT_ERRS(ROW)
#undef ROW
    };
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        const char *text = gnt_err_text(all[i]);
        assert_non_null(text);
        assert_string_not_equal(text, "unknown error");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(text, gnt_err_text(all[j]));
    }
    assert_string_equal(gnt_err_text(GNT_OK), "success");
    assert_string_equal(gnt_err_text(GNT_NOMEM), "out of memory");
    assert_string_equal(gnt_err_text((gnt_err)-1000), "unknown error");
}

static void test_signs(void **state)
{
    (void)state;
    assert_int_equal(GNT_OK, 0);
    assert_true(GNT_MORE > 0);
    assert_true(GNT_NOMEM < 0 && GNT_UNSUPPORTED < 0);
}

static void test_from_errno(void **state)
{
    (void)state;
    static const struct {
        int number;
        gnt_err err;
    } rows[] = {
        {EAGAIN, GNT_MORE},       {EWOULDBLOCK, GNT_MORE},
        {EINTR, GNT_MORE},        {ENOMEM, GNT_NOMEM},
        {EPIPE, GNT_CLOSED},      {ECONNRESET, GNT_CLOSED},
        {EADDRINUSE, GNT_BUSY},   {ECONNREFUSED, GNT_REFUSED},
        {ETIMEDOUT, GNT_TIMEOUT}, {EACCES, GNT_DENIED},
        {ENOENT, GNT_NOTFOUND},   {EIO, GNT_IO},
        {ENOSPC, GNT_IO},         {123456, GNT_IO},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(gnt_err_from_errno(rows[i].number), rows[i].err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_from_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
