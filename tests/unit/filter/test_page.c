/* docs/selectors.md: its selectors are selectors, and its mistakes are told in those words. */
#include "support/unit.h"

#include "filter/field.h"

#include <stdio.h>
#include <stdlib.h>

/* Calls EACH for every line of the blocks that begin with ```KIND; how many there were. */
static size_t each_line(const char *kind, void (*each)(const char *line))
{
    char line[512], fence[32];
    bool inside = false;
    size_t count = 0;
    FILE *f = fopen(GNT_TEST_PAGE, "r");
    assert_non_null(f);
    snprintf(fence, sizeof fence, "```%s", kind);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "```", 3) == 0) {
            inside = strcmp(line, fence) == 0;
        } else if (inside) {
            each(line);
            count++;
        }
    }
    fclose(f);
    return count;
}

static void compiles(const char *line)
{
    struct gnt_expression *made = NULL;
    struct gnt_expression_error error = {0, ""};
    if (gnt_expression_compile(gnt_slice_str(line), &gnt_dialect_amqp, &made, &error))
        fail_msg("%s: column %u: %s", line, error.column, error.text);
    gnt_expression_unref(&made);
}

/* "SELECTOR    COLUMN: WORDS" */
static void is_told(const char *line)
{
    struct gnt_expression *made = NULL;
    struct gnt_expression_error error = {0, ""};
    const char *gap = strstr(line, "    ");
    char found[256];
    assert_non_null(gap);
    struct gnt_slice text = gnt_slice(line, (size_t)(gap - line));
    assert_int_equal(gnt_expression_compile(text, &gnt_dialect_amqp, &made, &error), GNT_INVALID);
    snprintf(found, sizeof found, "%u: %s", error.column, error.text);
    assert_string_equal(found, gap + strspn(gap, " "));
}

static void its_selectors(void **state)
{
    (void)state;
    assert_true(each_line("selector", compiles) >= 6);
}

static void its_mistakes(void **state)
{
    (void)state;
    assert_true(each_line("mistakes", is_told) >= 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_selectors),
        cmocka_unit_test(its_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
