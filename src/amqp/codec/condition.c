#include "amqp/codec/condition.h"

static const char *const symbols[GNT_AMQP_CONDITION_COUNT] = {
#define CONDITION_SYMBOL(name, symbol) [GNT_AMQP_##name] = (symbol),
    GNT_AMQP_CONDITIONS(CONDITION_SYMBOL)
#undef CONDITION_SYMBOL
};

struct gnt_slice gnt_amqp_condition_symbol(enum gnt_amqp_condition condition)
{
    return gnt_slice_str(symbols[condition]);
}

enum gnt_amqp_condition gnt_amqp_condition_of(struct gnt_slice symbol)
{
    for (unsigned i = GNT_AMQP_NO_CONDITION + 1; i < GNT_AMQP_CONDITION_COUNT; i++)
        if (gnt_slice_eq_str(symbol, symbols[i]))
            return (enum gnt_amqp_condition)i;
    return GNT_AMQP_NO_CONDITION;
}
