/* Allocation failures on request: the test programs link with --wrap for malloc and its kin, and
 * for gnt_spare_get.
 *
 *     for (long n = 0; gnt_alloc_fail_at(n), !work(); n++) { ... the error path n has run ... }
 *     gnt_alloc_fail_at(-1);
 */
#ifndef GNT_TESTS_ALLOC_FAULT_H
#define GNT_TESTS_ALLOC_FAULT_H

#include <stdbool.h>

/* The Nth allocation from now (0 is the next) fails, once; -1: none fails. */
void gnt_alloc_fail_at(long n);

/* Whether the failure that was asked for has happened. */
bool gnt_alloc_failed(void);

#endif
