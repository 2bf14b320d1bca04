/* Runs a decoded program on several memories in lock step. The program is hostile but its scratch addresses are in
   range (parse.c); memory addresses are checked here. Refuses to know text and workload. */
#include <stdlib.h>
#include <string.h>

#include "vliw.h"

/* The state of some inputs at the same bundle. */
struct kf_lanes {
    uint32_t *scratch, *memory, *trace;
    uint32_t words, trace_room, traced, runs;
    uint32_t pc;      /* costly bundle */
    uint32_t reached; /* the machine's pc: bundle in the text */
    uint32_t state;
    uint64_t cycles, cap;
    uint64_t even, odd; /* counts of used bytes, 16 bits each, emptied into `used` in time */
    uint64_t used[KF_ENGINES + 1];
};

/* What one bundle decides besides its writes. */
struct kf_turn {
    uint32_t next, halted, paused, traced;
    int late; /* an error that comes after all others of the bundle */
};

/* Rows that a slot notes: words of scratch, or STORED + words of memory behind a row of addresses. */
enum { STORED = 16, NOTED_ROWS = 12 + 6 * KF_VECTOR + 2 * KF_VECTOR + 2 * (KF_VECTOR + 1) + KF_VECTOR };
static const unsigned char rows_of[KF_TRACE_WRITE + 1] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, /* alu */
    8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 0, 0, 0, /* valu */
    8, 8, 1, 8, 1, 1, STORED + 1, STORED + 8, 1, 8, 1, 0, 0, 0, 0, 0, 0, 1, 0};

static void empty_counts(struct kf_lanes *m)
{
    for (int i = 0; i <= KF_ENGINES; i++)
        m->used[i] += (i & 1 ? m->odd : m->even) >> (16 * (i / 2)) & 0xFFFF;
    m->even = m->odd = 0;
}

static inline void count_cycle(struct kf_lanes *m, uint64_t used)
{
    const uint64_t bytes = UINT64_C(0x00FF00FF00FF00FF);
    m->even += used & bytes;
    m->odd += used >> 8 & bytes;
    if ((++m->cycles & 4095) == 0) /* 12 slots at most: 49,152 */
        empty_counts(m);
}

#define LANES 1
#define LANE_NAME(name) one_##name
#include "lockstep.h"

#define LANES KF_LANES
#define LANE_NAME(name) all_##name
#include "lockstep.h"

static void report(const struct kf_program *program, struct kf_lanes *m, int error, struct kf_result *result)
{
    memset(result, 0, sizeof *result);
    empty_counts(m);
    memcpy(result->used, m->used, sizeof result->used);
    result->cycles = m->cycles;
    result->error = (uint32_t)error;
    result->bundle = error ? program->bundles[m->pc].number : 0;
    result->pc = error ? result->bundle : m->reached;
    result->state = m->state;
    result->traced = m->traced;
}

/* One column of `from` (rows of KF_LANES) to a piece of its own, or back. */
static void take_lane(uint32_t *to, const uint32_t *from, size_t rows, size_t lane)
{
    for (size_t i = 0; i < rows; i++)
        to[i] = from[i * KF_LANES + lane];
}

static void give_lane(uint32_t *to, const uint32_t *from, size_t rows, size_t lane)
{
    for (size_t i = 0; i < rows; i++)
        to[i * KF_LANES + lane] = from[i];
}

struct room {
    uint32_t *scratch, *memory, *trace; /* KF_LANES of each */
    uint32_t *scratch1, *memory1, *trace1;
};

/* The inputs from `at` on, `count` of them (1 or up to KF_LANES; spare lanes repeat the first). */
static void run_group(const struct kf_program *program, const struct kf_job *job, const struct room *room, uint32_t at,
                      uint32_t count, struct kf_result *results)
{
    struct kf_lanes group = {room->scratch, room->memory, job->trace ? room->trace : NULL, job->words, job->trace_room, 0,
                             job->runs, 0, 0, KF_STOPPED, 0, job->cycles, 0, 0, {0}};
    memset(room->scratch, 0, sizeof(uint32_t) * KF_SCRATCH * KF_LANES);
    for (uint32_t l = 0; l < KF_LANES; l++)
        give_lane(group.memory, job->memory + (size_t)(at + (l < count ? l : 0)) * job->words, job->words, l);
    int error = all_advance(program, &group);
    int apart = error != KF_FINE && error != KF_CYCLES;
    for (uint32_t l = 0; l < count; l++) {
        struct kf_lanes one = group;
        one.scratch = job->scratch ? job->scratch + (size_t)(at + l) * KF_SCRATCH : room->scratch1;
        one.memory = job->memory + (size_t)(at + l) * job->words;
        one.trace = job->trace ? job->trace + (size_t)(at + l) * job->trace_room : NULL;
        take_lane(one.memory, group.memory, job->words, l);
        if (apart || job->scratch)
            take_lane(one.scratch, group.scratch, KF_SCRATCH, l);
        if (one.trace)
            take_lane(one.trace, group.trace, one.traced < job->trace_room ? one.traced : job->trace_room, l);
        report(program, &one, apart ? one_advance(program, &one) : error, &results[at + l]);
    }
}

static void run_alone(const struct kf_program *program, const struct kf_job *job, const struct room *room, uint32_t at,
                      struct kf_result *results)
{
    struct kf_lanes one = {room->scratch1, job->memory + (size_t)at * job->words,
                           job->trace ? job->trace + (size_t)at * job->trace_room : NULL, job->words, job->trace_room, 0,
                           job->runs, 0, 0, KF_STOPPED, 0, job->cycles, 0, 0, {0}};
    memset(one.scratch, 0, sizeof(uint32_t) * KF_SCRATCH);
    int error = one_advance(program, &one);
    report(program, &one, error, &results[at]);
    if (job->scratch)
        memcpy(job->scratch + (size_t)at * KF_SCRATCH, one.scratch, sizeof(uint32_t) * KF_SCRATCH);
}

int kf_run(const struct kf_program *program, const struct kf_job *job, struct kf_result *results)
{
    size_t scratch = (size_t)KF_SCRATCH * (KF_LANES + 1), memory = (size_t)job->words * KF_LANES;
    uint32_t *block = malloc((scratch + memory + (size_t)job->trace_room * KF_LANES) * sizeof *block);
    if (!block)
        return -1;
    struct room room = {block, block + scratch, block + scratch + memory, block + (size_t)KF_SCRATCH * KF_LANES, 0, 0};
    for (uint32_t at = 0; at < job->inputs; at += KF_LANES) {
        uint32_t count = job->inputs - at < KF_LANES ? job->inputs - at : KF_LANES;
        if (count == 1)
            run_alone(program, job, &room, at, results);
        else
            run_group(program, job, &room, at, count, results);
    }
    free(block);
    return 0;
}
