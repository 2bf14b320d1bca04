/* Text of a program to its decoded form, strictly. The text is hostile. Nothing is read past the 0 that ends it: every
   step forward follows a comparison with a character that is not 0. Refuses to know what a program computes. */
#include "text.h"

enum { ALU, VALU, LOAD, STORE, FLOW, DEBUG };
static const uint32_t slot_limit[KF_ENGINES] = {12, 6, 2, 2, 1};

/* What an operand may be: a scratch address, one of a vector, or an immediate. */
enum { S = KF_SCRATCH - 1, V = KF_SCRATCH - KF_VECTOR, I = 0xFFFF };

struct operation {
    const char *name; /* with its closing quote */
    byte code, operands;
    uint16_t most[4]; /* greatest allowed operand, or I */
};

static const struct operation valu_names[] = {
    {"vbroadcast\"", KF_BROADCAST, 2, {V, S}}, {"multiply_add\"", KF_MULTIPLY_ADD, 4, {V, V, V, V}}, {0}};
static const struct operation load_names[] = {{"load\"", KF_LOAD, 2, {S, S}},
                                              {"const\"", KF_CONST, 2, {S, I}},
                                              {"vload\"", KF_VLOAD, 2, {V, S}},
                                              {"load_offset\"", KF_LOAD_OFFSET, 3, {S, S, I}},
                                              {0}};
static const struct operation store_names[] = {
    {"store\"", KF_STORE, 2, {S, S}}, {"vstore\"", KF_VSTORE, 2, {S, V}}, {0}};
static const struct operation flow_names[] = {{"select\"", KF_SELECT, 4, {S, S, S, S}},
                                              {"vselect\"", KF_VSELECT, 4, {V, V, V, V}},
                                              {"add_imm\"", KF_ADD_IMM, 3, {S, S, I}},
                                              {"jump\"", KF_JUMP, 1, {I}},
                                              {"cond_jump\"", KF_COND_JUMP, 2, {S, I}},
                                              {"cond_jump_rel\"", KF_COND_JUMP_REL, 2, {S, I}},
                                              {"jump_indirect\"", KF_JUMP_INDIRECT, 1, {S}},
                                              {"halt\"", KF_HALT, 0, {0}},
                                              {"pause\"", KF_PAUSE, 0, {0}},
                                              {"coreid\"", KF_COREID, 1, {S}},
                                              {"trace_write\"", KF_TRACE_WRITE, 1, {S}},
                                              {0}};
static const struct operation *const names[KF_ENGINES] = {0, valu_names, load_names, store_names, flow_names};

/* The 13 operations of alu and valu, by code. */
static const struct operation narrow = {0, 0, 3, {S, S, S}}, wide = {0, 0, 3, {V, V, V}};

struct reader {
    struct kf_program *program;
    int refusal;
    const byte *at; /* of the refusal */
};

struct number {
    int64_t value; /* far out of every range when the literal does not fit */
    uint32_t low;  /* modulo 2^32 */
};

static const byte *refuse(struct reader *r, const byte *at, int why)
{
    r->refusal = why;
    r->at = at;
    return NULL;
}

/* ── integers ── */

static const byte *long_number(struct reader *r, const byte *p, int minus, struct number *n)
{
    const byte *start = p;
    uint32_t low = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (p - start >= KF_MAX_DIGITS)
            return refuse(r, start, KF_DIGITS);
        low = low * 10u + (uint32_t)(*p - '0');
    }
    n->value = minus ? -(INT64_C(1) << 60) : INT64_C(1) << 60;
    n->low = minus ? 0u - low : low;
    return p;
}

static inline const byte *number(struct reader *r, const byte *p, struct number *n)
{
    int minus = *p == '-';
    p += minus;
    const byte *start = p;
    uint32_t digit = (uint32_t)*p - '0';
    if (digit > 9)
        return refuse(r, start, KF_OPERAND);
    uint64_t v = digit;
    p++;
    if (v != 0)
        for (; (digit = (uint32_t)*p - '0') <= 9; p++) {
            v = v * 10 + digit;
            if (p - start > 15)
                return long_number(r, start, minus, n);
        }
    n->value = minus ? -(int64_t)v : (int64_t)v;
    n->low = (uint32_t)(uint64_t)n->value;
    return p;
}

/* ── slots ── */

/* One of the 13; p behind the opening quote. Gives the character behind the closing quote, or NULL. */
static inline const byte *arithmetic(const byte *p, int *code)
{
    switch (*p++) {
    case '+': *code = KF_ADD; break;
    case '-': *code = KF_SUB; break;
    case '*': *code = KF_MUL; break;
    case '^': *code = KF_XOR; break;
    case '&': *code = KF_AND; break;
    case '|': *code = KF_OR; break;
    case '%': *code = KF_MOD; break;
    case '<':
        *code = *p == '<' ? KF_SHL : KF_LT;
        p += *p == '<';
        break;
    case '>':
        *code = KF_SHR;
        if (*p++ != '>')
            return NULL;
        break;
    case '/':
        *code = KF_DIV;
        if (*p++ != '/')
            return NULL;
        break;
    case '=':
        *code = KF_EQ;
        if (*p++ != '=')
            return NULL;
        break;
    case 'c':
        *code = KF_CDIV;
        if (!is(p, "div"))
            return NULL;
        p += 3;
        break;
    default: return NULL;
    }
    return *p == '"' ? p + 1 : NULL;
}

static inline const byte *operation(struct reader *r, const byte *p, int engine, const struct operation **found,
                                    int *code)
{
    const byte *behind;
    if (engine <= VALU && (behind = arithmetic(p, code))) {
        *found = engine == ALU ? &narrow : &wide;
        *code += engine == ALU ? 0 : KF_WIDE;
        return behind;
    }
    if (engine != ALU)
        for (const struct operation *o = names[engine]; o->name; o++) {
            size_t n = is(p, o->name);
            if (n) {
                *found = o;
                *code = o->code;
                return p + n;
            }
        }
    return refuse(r, p, KF_OPERATION);
}

/* Operations that are decoded to others, and jump targets: checked against the length when that is known. */
static int lower(struct kf_slot *slot, const struct number *n, uint32_t bundle)
{
    int64_t target;
    switch (slot->code) {
    case KF_LOAD_OFFSET:
        for (int i = 0; i < 2; i++) {
            int64_t address = n[i].value + n[2].value;
            if (address < 0 || address >= KF_SCRATCH)
                return KF_RANGE;
            slot->x[i] = (uint16_t)address;
        }
        slot->code = KF_LOAD;
        return KF_ACCEPTED;
    case KF_COREID:
        slot->code = KF_CONST;
        slot->imm = 0;
        return KF_ACCEPTED;
    case KF_JUMP: target = n[0].value; break;
    case KF_COND_JUMP: target = n[1].value; break;
    case KF_COND_JUMP_REL:
        slot->code = KF_COND_JUMP;
        target = n[1].value + bundle + 1;
        break;
    default: return KF_ACCEPTED;
    }
    if (target < 0)
        return KF_TARGET;
    slot->imm = target > KF_MAX_BUNDLES ? KF_MAX_BUNDLES : (uint32_t)target;
    return KF_ACCEPTED;
}

/* One slot; p at its bracket. */
static inline const byte *slot(struct reader *r, const byte *p, int engine)
{
    struct kf_program *program = r->program;
    struct kf_slot *out = &program->slots[program->slot_count];
    const struct operation *o;
    struct number n[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
    const byte *start = p;
    int code, why;
    if (*p != '[')
        return refuse(r, p, KF_NO_SLOTS);
    p = blank(p + 1);
    if (*p != '"')
        return refuse(r, p, KF_OPERATION);
    if (!(p = operation(r, p + 1, engine, &o, &code)))
        return NULL;
    out->code = (uint16_t)code;
    for (int i = 0; i < o->operands; i++) {
        p = blank(p);
        if (*p != ',')
            return refuse(r, p, *p == ']' ? KF_OPERATION : KF_SYNTAX);
        p = blank(p + 1);
        const byte *literal = p;
        if (!(p = number(r, p, &n[i])))
            return NULL;
        if (o->most[i] == I)
            out->imm = n[i].low;
        else if ((uint64_t)n[i].value > o->most[i])
            return refuse(r, literal, KF_RANGE);
        else
            out->x[i] = (uint16_t)n[i].value;
    }
    p = blank(p);
    if (*p != ']')
        return refuse(r, p, *p == ',' ? KF_OPERATION : KF_SYNTAX);
    if (code >= KF_LOAD_OFFSET && (why = lower(out, n, program->length)) != KF_ACCEPTED)
        return refuse(r, start, why);
    program->slot_count++;
    return p + 1;
}

static inline const byte *slots(struct reader *r, const byte *p, int engine, uint32_t *count)
{
    p = blank(p + 1);
    if (*p == ']')
        return p + 1;
    for (;;) {
        if (*count == slot_limit[engine])
            return refuse(r, p, KF_TOO_MANY_SLOTS);
        if (!(p = slot(r, p, engine)))
            return NULL;
        (*count)++;
        p = blank(p);
        if (*p == ']')
            return p + 1;
        if (*p != ',')
            return refuse(r, p, KF_SYNTAX);
        p = blank(p + 1);
    }
}

/* ── bundles ── */

static inline int engine_of(const byte *p, size_t *length)
{
    if ((*length = is(p, "alu\""))) return ALU;
    if ((*length = is(p, "valu\""))) return VALU;
    if ((*length = is(p, "load\""))) return LOAD;
    if ((*length = is(p, "store\""))) return STORE;
    if ((*length = is(p, "flow\""))) return FLOW;
    if ((*length = is(p, "debug\""))) return DEBUG;
    return -1;
}

/* One engine and its slots; p at the quote of its name. */
static inline const byte *engine(struct reader *r, const byte *p, uint32_t *seen, uint64_t *used)
{
    size_t length;
    uint32_t count = 0;
    if (*p != '"')
        return refuse(r, p, KF_SYNTAX);
    int e = engine_of(p + 1, &length);
    if (e < 0)
        return refuse(r, p, KF_ENGINE);
    if (*seen & 1u << e)
        return refuse(r, p, KF_TWICE);
    *seen |= 1u << e;
    p = blank(p + 1 + length);
    if (*p != ':')
        return refuse(r, p, KF_SYNTAX);
    p = blank(p + 1);
    if (*p != '[')
        return refuse(r, p, KF_NO_SLOTS);
    if (e == DEBUG) {
        p = kf_skip(p, 0, &r->refusal);
        return r->refusal == KF_ACCEPTED ? p : refuse(r, p, r->refusal);
    }
    p = slots(r, p, e, &count);
    *used |= (uint64_t)count << 8 * e;
    return p;
}

/* One bundle; p at its bracket. */
static inline const byte *bundle(struct reader *r, const byte *p)
{
    struct kf_program *program = r->program;
    uint32_t seen = 0, first = program->slot_count;
    uint64_t used = 0;
    if (*p != '{')
        return refuse(r, p, KF_NO_BUNDLE);
    p = blank(p + 1);
    if (*p != '}')
        for (;;) {
            if (!(p = engine(r, p, &seen, &used)))
                return NULL;
            p = blank(p);
            if (*p == '}')
                break;
            if (*p != ',')
                return refuse(r, p, KF_SYNTAX);
            p = blank(p + 1);
        }
    if (seen & ((1u << DEBUG) - 1)) {
        if (program->slot_count - first > 1)
            used |= UINT64_C(1) << 8 * KF_ENGINES;
        program->bundles[program->count++] = (struct kf_bundle){first, program->length, used};
    }
    program->length++;
    return p + 1;
}

static const byte *program_text(struct reader *r, const byte *p)
{
    if (*p != '[')
        return refuse(r, p, KF_NO_BUNDLE);
    p = blank(p + 1);
    if (*p == ']')
        return p + 1;
    for (;;) {
        if (r->program->length == KF_MAX_BUNDLES)
            return refuse(r, p, KF_BUNDLES);
        if (!kf_make_room(r->program))
            return refuse(r, p, KF_NO_MEMORY);
        if (!(p = bundle(r, p)))
            return NULL;
        p = blank(p);
        if (*p == ']')
            return p + 1;
        if (*p != ',')
            return refuse(r, p, KF_SYNTAX);
        p = blank(p + 1);
    }
}

int kf_parse(struct kf_program *program, const char *text, size_t length, uint64_t where[2])
{
    const byte *start = (const byte *)text;
    struct reader r = {program, KF_ACCEPTED, start};
    program->count = program->length = program->slot_count = 0;
    if (length > KF_MAX_TEXT) {
        r.refusal = KF_TEXT_SIZE;
    } else {
        const byte *p = program_text(&r, blank(start));
        if (p && (p = blank(p)) != start + length)
            refuse(&r, p, KF_TRAILING);
        else if (p && !kf_land(program))
            refuse(&r, p, KF_NO_MEMORY);
    }
    where[0] = program->length;
    where[1] = (uint64_t)(r.at - start);
    if (r.refusal != KF_ACCEPTED) {
        program->count = program->length = program->slot_count = 0;
        kf_land(program); /* there is room for the empty program since kf_program_new */
    }
    return r.refusal;
}
