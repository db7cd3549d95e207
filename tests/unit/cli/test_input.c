#include "cli/input.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <stdlib.h>
#include <unistd.h>

/* The lines that come out where TEXT goes in in two pieces, cut at CUT, joined by '|'. */
static void read_cut(struct gnt_slice text, size_t cut, char *out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct gnt_input in = {.fd = ends[0], .max = 1000};
    struct gnt_slice line;
    gnt_err err = GNT_MORE;
    size_t written = 0;
    while (err == GNT_MORE) {
        size_t size = written == 0 && cut > 0 ? cut : text.size - written;
        if (size > 0)
            assert_int_equal(write(ends[1], text.data + written, size), size);
        written += size;
        if (size == 0)
            close(ends[1]);
        err = gnt_input_read(&in);
        while (gnt_input_line(&in, &line)) {
            memcpy(out, line.data, line.size);
            out += line.size;
            *out++ = '|';
        }
    }
    *out = '\0';
    assert_int_equal(err, GNT_OK);
    assert_false(gnt_input_line(&in, &line));
    gnt_input_fini(&in);
    close(ends[0]);
}

static void lines_however_they_come(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } vectors[] = {
        {"", ""},         {"\n", "|"},
        {"a", "a|"},      {"a\n", "a|"},
        {"a\nb", "a|b|"}, {"a\nb\r\n\nc", "a|b\r||c|"},
        {"\n\n", "||"},   {"one\ntwo\nthree\n", "one|two|three|"},
    };
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct gnt_slice text = gnt_slice_str(vectors[i].in);
        for (size_t cut = 0; cut <= text.size; cut++) {
            char out[100];
            read_cut(text, cut, out);
            assert_string_equal(out, vectors[i].out);
        }
    }
}

static void zero_bytes_are_bytes(void **state)
{
    (void)state;
    char out[100];
    read_cut(LITERAL("a\0b\nc"), 2, out);
    assert_memory_equal(out, "a\0b|c|", 6);
}

static void bounds(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct gnt_input in = {.fd = ends[0], .max = 3};
    struct gnt_slice line;
    assert_int_equal(write(ends[1], "abcd", 4), 4);
    assert_int_equal(gnt_input_read(&in), GNT_MORE);
    assert_false(gnt_input_line(&in, &line));
    assert_int_equal(gnt_input_read(&in), GNT_TOOBIG);
    gnt_input_fini(&in);
    close(ends[0]);
    close(ends[1]);
}

static void failures(void **state)
{
    (void)state;
    struct gnt_input in = {.fd = -1, .max = 100};
    assert_true(gnt_input_read(&in) < 0);
    gnt_alloc_fail_at(0);
    struct gnt_input poor = {.fd = 0, .max = 100};
    assert_int_equal(gnt_input_read(&poor), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    gnt_input_fini(&in);
    gnt_input_fini(&poor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_however_they_come),
        cmocka_unit_test(zero_bytes_are_bytes),
        cmocka_unit_test(bounds),
        cmocka_unit_test(failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
