#include "store/memory.h"

#include "support/store_contract.h"

static gnt_err open_at_once(struct gnt_store **out)
{
    return gnt_store_memory_open(NULL, out);
}

int main(void)
{
    static const struct store_under_test memory = {.name = "memory", .open = open_at_once};
    return store_contract_threads(&memory);
}
