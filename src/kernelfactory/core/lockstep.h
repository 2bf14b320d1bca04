/* The machine for LANES inputs at once, all at the same bundle: scratch and memory lie [word][lane]. Included by
   machine.c with LANES and LANE_NAME set. A bundle reads the state before it and writes at its end, so whatever
   keeps the lanes apart (an error in some lane, a branch taken by some only) is found before anything is written:
   the run then stops in front of that bundle and says KF_SPLIT, and the lanes go on one by one. */

#define EACH for (int l = 0; l < LANES; l++)
#define ROW(address) (m->scratch + (size_t)(address) * LANES)
#define ALL(expression) \
    for (int i = 0; i < n; i++) \
        out[i] = (expression); \
    return KF_FINE

static inline int LANE_NAME(no_zero)(const uint32_t *restrict b, int n)
{
    uint32_t zeros = 0;
    for (int i = 0; i < n; i++)
        zeros |= b[i] == 0;
    return !zeros;
}

/* The 13 operations on n words. */
static inline int LANE_NAME(compute)(int code, uint32_t *restrict out, const uint32_t *restrict a,
                                                 const uint32_t *restrict b, int n)
{
    switch (code) {
    case KF_ADD: ALL(a[i] + b[i]);
    case KF_SUB: ALL(a[i] - b[i]);
    case KF_MUL: ALL(a[i] * b[i]);
    case KF_XOR: ALL(a[i] ^ b[i]);
    case KF_AND: ALL(a[i] & b[i]);
    case KF_OR: ALL(a[i] | b[i]);
    case KF_SHL: ALL(b[i] < 32 ? a[i] << (b[i] & 31) : 0);
    case KF_SHR: ALL(b[i] < 32 ? a[i] >> (b[i] & 31) : 0);
    case KF_LT: ALL(a[i] < b[i]);
    case KF_EQ: ALL(a[i] == b[i]);
    default: break;
    }
    if (!LANE_NAME(no_zero)(b, n))
        return KF_ZERO_DIVISION;
    switch (code) {
    case KF_DIV: ALL(a[i] / b[i]);
    case KF_MOD: ALL(a[i] % b[i]);
    default: ALL((uint32_t)(((uint64_t)a[i] + b[i] - 1) / b[i]));
    }
}

/* `width` words from where each lane's row of addresses says. */
static inline int LANE_NAME(fetch)(const struct kf_lanes *m, uint32_t *restrict out,
                                               const uint32_t *address, uint32_t width)
{
    uint32_t apart = 0, outside = 0;
    EACH {
        apart |= address[l] ^ address[0];
        outside |= address[l] > m->words - width;
    }
    if (m->words < width || outside)
        return KF_INDEX;
    if (!apart)
        memcpy(out, m->memory + (size_t)address[0] * LANES, width * LANES * sizeof *out);
    else
        for (uint32_t i = 0; i < width; i++)
            EACH out[i * LANES + l] = m->memory[((size_t)address[l] + i) * LANES + l];
    return KF_FINE;
}

/* A slot of flow that decides where to go on: no result. */
static inline int LANE_NAME(steer)(const struct kf_program *program, const struct kf_lanes *m,
                                               const struct kf_slot *slot, struct kf_turn *turn)
{
    const uint32_t *row = ROW(slot->x[0]);
    uint32_t taken = 0;
    switch (slot->code) {
    case KF_JUMP: turn->next = slot->imm; return KF_FINE;
    case KF_COND_JUMP:
        EACH taken += row[l] != 0;
        if (taken != 0 && taken != LANES)
            return KF_SPLIT;
        if (taken)
            turn->next = slot->imm;
        return KF_FINE;
    case KF_JUMP_INDIRECT:
        EACH if (row[l] != row[0]) return KF_SPLIT;
        turn->next = program->landing[row[0] < program->length ? row[0] : program->length];
        return KF_FINE;
    case KF_HALT: turn->halted = 1; return KF_FINE;
    case KF_PAUSE: turn->paused = m->runs != 0; return KF_FINE;
    default: /* KF_TRACE_WRITE: the row behind the last does not count before the bundle's end */
        if (m->trace && m->traced < m->trace_room)
            memcpy(m->trace + (size_t)m->traced * LANES, row, LANES * sizeof *row);
        turn->traced = 1;
        return KF_FINE;
    }
}

/* A store: the addresses' row, then the words, behind one another. */
static inline int LANE_NAME(note)(const struct kf_lanes *m, const struct kf_slot *slot, uint32_t *restrict out,
                                              struct kf_turn *turn)
{
    uint32_t width = slot->code == KF_VSTORE ? KF_VECTOR : 1, outside = m->words < width;
    memcpy(out, ROW(slot->x[0]), LANES * sizeof *out);
    memcpy(out + LANES, ROW(slot->x[1]), width * LANES * sizeof *out);
    EACH outside |= out[l] > m->words - width;
    if (outside)
        turn->late = KF_INDEX;
    return KF_FINE;
}

/* Reads and computes one slot into `out`. */
static inline int LANE_NAME(carry_out)(const struct kf_program *program, const struct kf_lanes *m,
                                                   const struct kf_slot *slot, uint32_t *restrict out,
                                                   struct kf_turn *turn)
{
    const uint32_t *a, *b, *c;
    if (slot->code < KF_WIDE)
        return LANE_NAME(compute)(slot->code, out, ROW(slot->x[1]), ROW(slot->x[2]), LANES);
    if (slot->code < KF_BROADCAST)
        return LANE_NAME(compute)(slot->code - KF_WIDE, out, ROW(slot->x[1]), ROW(slot->x[2]), KF_VECTOR * LANES);
    a = ROW(slot->x[1]), b = ROW(slot->x[2]), c = ROW(slot->x[3]);
    switch (slot->code) {
    case KF_BROADCAST:
        for (int i = 0; i < KF_VECTOR; i++)
            memcpy(out + i * LANES, a, LANES * sizeof *out);
        return KF_FINE;
    case KF_MULTIPLY_ADD:
        for (int i = 0; i < KF_VECTOR * LANES; i++)
            out[i] = a[i] * b[i] + c[i];
        return KF_FINE;
    case KF_LOAD: return LANE_NAME(fetch)(m, out, a, 1);
    case KF_VLOAD: return LANE_NAME(fetch)(m, out, a, KF_VECTOR);
    case KF_CONST:
        EACH out[l] = slot->imm;
        return KF_FINE;
    case KF_STORE:
    case KF_VSTORE: return LANE_NAME(note)(m, slot, out, turn);
    case KF_SELECT:
        EACH out[l] = a[l] ? b[l] : c[l];
        return KF_FINE;
    case KF_VSELECT:
        for (int i = 0; i < KF_VECTOR * LANES; i++)
            out[i] = a[i] ? b[i] : c[i];
        return KF_FINE;
    case KF_ADD_IMM:
        EACH out[l] = a[l] + slot->imm;
        return KF_FINE;
    default: return LANE_NAME(steer)(program, m, slot, turn);
    }
}

static inline void LANE_NAME(put)(struct kf_lanes *m, const uint32_t *noted, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        EACH m->memory[((size_t)noted[l] + i) * LANES + l] = noted[(i + 1) * LANES + l];
}

/* Puts what the slots noted into scratch and memory, in their order. */
static inline void LANE_NAME(write_back)(struct kf_lanes *m, const struct kf_slot *slot,
                                                     const struct kf_slot *end, const uint32_t *noted)
{
    for (; slot < end; slot++) {
        uint32_t rows = rows_of[slot->code];
        if (rows == 1)
            memcpy(ROW(slot->x[0]), noted, LANES * sizeof *noted);
        else if (rows == KF_VECTOR)
            memcpy(ROW(slot->x[0]), noted, KF_VECTOR * LANES * sizeof *noted);
        else if (rows)
            LANE_NAME(put)(m, noted, rows - STORED);
        noted += (rows & (STORED - 1)) * LANES + (rows & STORED ? LANES : 0);
    }
}

static int LANE_NAME(advance)(const struct kf_program *program, struct kf_lanes *m)
{
    uint32_t noted[NOTED_ROWS * LANES];
    for (m->state = KF_STOPPED; m->pc < program->count;) {
        const struct kf_bundle *bundle = &program->bundles[m->pc];
        const struct kf_slot *first = program->slots + bundle[0].first, *end = program->slots + bundle[1].first;
        struct kf_turn turn = {m->pc + 1, 0, 0, 0, KF_FINE};
        uint32_t *out = noted;
        if (m->cycles >= m->cap)
            return KF_CYCLES;
        for (const struct kf_slot *slot = first; slot < end; slot++) {
            int error = LANE_NAME(carry_out)(program, m, slot, out, &turn);
            if (error)
                return error;
            uint32_t rows = rows_of[slot->code];
            out += (rows & (STORED - 1)) * LANES + (rows & STORED ? LANES : 0);
        }
        if (turn.late)
            return turn.late;
        LANE_NAME(write_back)(m, first, end, noted);
        count_cycle(m, bundle->used);
        m->traced += turn.traced;
        m->reached = turn.halted || turn.paused ? bundle->number + 1 : program->length;
        m->pc = turn.next;
        if (turn.halted)
            return KF_FINE;
        if (turn.paused && --m->runs == 0) {
            m->state = KF_PAUSED;
            return KF_FINE;
        }
    }
    m->reached = program->length;
    return KF_FINE;
}

#undef EACH
#undef ROW
#undef ALL
#undef LANES
#undef LANE_NAME
