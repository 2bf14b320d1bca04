/* The VLIW machine in plain C: what its files share. Knows nothing of Python, files or processes. */
#ifndef KF_VLIW_H
#define KF_VLIW_H

#include <stddef.h>
#include <stdint.h>

enum {
    KF_ABI = 1,
    KF_SCRATCH = 1536,       /* words */
    KF_VECTOR = 8,           /* words of a vector operand */
    KF_LANES = 8,            /* inputs run in lock step */
    KF_ENGINES = 5,          /* alu valu load store flow, in this order everywhere; debug is number 5 and never kept */
    KF_MAX_BUNDLES = 1 << 20,
    KF_MAX_TEXT = 32 << 20,  /* bytes */
    KF_MAX_DIGITS = 1000,    /* of one integer literal of an operand */
    KF_MAX_DEPTH = 32,       /* of what stands inside a debug engine */
    KF_MAX_SLOTS = 12 + 6 + 2 + 2 + 1
};

/* Why a text is no program; the order is part of the interface (kernelfactory.core.refusal names them). */
enum kf_refusal {
    KF_ACCEPTED,
    KF_SYNTAX,
    KF_NO_BUNDLE,
    KF_ENGINE,
    KF_TWICE,
    KF_NO_SLOTS,
    KF_OPERATION,
    KF_OPERAND,
    KF_DIGITS,
    KF_RANGE,
    KF_TARGET,
    KF_TOO_MANY_SLOTS,
    KF_TRAILING,
    KF_DEPTH,
    KF_TEXT_SIZE,
    KF_BUNDLES,
    KF_NO_MEMORY
};

/* How a run went wrong. KF_SPLIT never leaves the simulator. */
enum kf_error { KF_FINE, KF_INDEX, KF_ZERO_DIVISION, KF_CYCLES, KF_SPLIT };

enum kf_state { KF_STOPPED, KF_PAUSED };

enum kf_code {
    KF_ADD, KF_SUB, KF_MUL, KF_DIV, KF_CDIV, KF_XOR, KF_AND, KF_OR, KF_SHL, KF_SHR, KF_MOD, KF_LT, KF_EQ,
    KF_WIDE = 16, /* KF_WIDE + one of the above: the same on a vector */
    KF_BROADCAST = 32, KF_MULTIPLY_ADD,
    KF_LOAD, KF_VLOAD, KF_CONST, KF_LOAD_OFFSET,
    KF_STORE, KF_VSTORE,
    KF_SELECT, KF_VSELECT, KF_ADD_IMM, KF_JUMP, KF_JUMP_INDIRECT, KF_COND_JUMP, KF_COND_JUMP_REL,
    KF_HALT, KF_PAUSE, KF_COREID, KF_TRACE_WRITE
};

/* A decoded slot. x: operands in the order of the text, scratch addresses already checked; imm: the immediate modulo
   2^32, or for a jump the number of the costly bundle it leads to. load_offset, cond_jump_rel and coreid are decoded
   to load, cond_jump and const. */
struct kf_slot {
    uint16_t code;
    uint16_t x[4];
    uint16_t unused;
    uint32_t imm;
};

/* A bundle that costs a cycle; free ones are left out. used: bytes, slots by engine, and in byte KF_ENGINES 1 if there
   is more than one slot. */
struct kf_bundle {
    uint32_t first;  /* its first slot; the next bundle's first ends it */
    uint32_t number; /* in the text, from 0 */
    uint64_t used;
};

struct kf_program {
    struct kf_bundle *bundles; /* count + 1 of them, the last a sentinel */
    struct kf_slot *slots;
    uint32_t *landing; /* length + 1: number of a bundle in the text -> the costly bundle reached from there */
    uint32_t count;    /* costly bundles */
    uint32_t length;   /* bundles in the text */
    uint32_t slot_count;
    size_t bundle_room, slot_room, landing_room;
};

/* What one input's run came to. `used` counts executed slots by engine, then bundles of more than one slot. */
struct kf_result {
    uint64_t cycles;
    uint64_t used[KF_ENGINES + 1];
    uint32_t error;  /* enum kf_error */
    uint32_t bundle; /* the failing one's number in the text */
    uint32_t pc;
    uint32_t state; /* enum kf_state */
    uint32_t traced;
    uint32_t wrong; /* values that differ from the reference's (kf_measure only) */
};

/* One run of several memories. `memory` holds inputs * words, each input in one piece, and is overwritten with what the
   machine leaves; `scratch` (inputs * KF_SCRATCH) and `trace` (inputs * trace_room) are written, and may be NULL.
   `runs`: 0 switches pause off, else how often a paused machine is started. */
struct kf_job {
    uint32_t *memory, *scratch, *trace;
    uint32_t inputs, words, trace_room, runs;
    uint64_t cycles; /* cap */
};

struct kf_size {
    uint32_t height, rounds, batch;
};

struct kf_program *kf_program_new(void);
void kf_program_free(struct kf_program *program);

/* text[length] must be readable and 0. where: number of the bundle and offset in bytes of the refusal. */
int kf_parse(struct kf_program *program, const char *text, size_t length, uint64_t where[2]);

/* 0, or -1 when there is no memory for it. */
int kf_run(const struct kf_program *program, const struct kf_job *job, struct kf_result *results);
int kf_measure(const struct kf_program *program, const struct kf_size *size, const uint64_t *seeds, uint32_t inputs,
               uint64_t cycles, struct kf_result *results);

/* The workload. Words of a memory image, 0 for a size that is refused; an image from a seed; the values that must come
   out of an image; the six steps of the hash. */
uint32_t kf_words(const struct kf_size *size);
void kf_image(const struct kf_size *size, uint64_t seed, uint32_t *image);
int kf_reference(const uint32_t *image, uint32_t words, uint32_t *indices, uint32_t *values);
void kf_hash(uint32_t value, uint32_t steps[6]);
uint32_t kf_abi(void);

#endif
