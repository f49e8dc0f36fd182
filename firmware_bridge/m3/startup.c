/* From reset to main(): vectors, RAM, and the noise from which a board without a past takes its
 * boot id. */
#include "hal.h"
#include "lm3s6965.h"

#include <stdint.h>

#define STACK_IN_USE 16 /* words below here that the loop, made a call of memset, may need itself */
#define FNV_BASIS 2166136261U /* FNV-1a, 32 bits (draft-eastlake-fnv) */
#define FNV_PRIME 16777619U

extern uint32_t m3_stack[], m3_stack_top[], m3_data[], m3_data_end[];
extern uint32_t m3_bss[], m3_bss_end[], m3_ram_end[];
extern const uint32_t m3_noise[], m3_noise_end[];
extern const uint32_t m3_data_load[];

_Noreturn void m3_main(uint32_t noise);
void m3_uart0(void);
void m3_uart1(void);
void m3_timer0a(void);
void m3_systick(void);

/* Every fault and every interrupt nobody asked for: stand still, and the watchdog resets. Without a
 * stack, as the stack may be what failed. */
__attribute__((naked, noreturn)) static void m3_halt(void) { __asm volatile("cpsid i\n\tb ."); }

static uint32_t digest(uint32_t so_far, const uint32_t *from, const uint32_t *end)
{
    for (; from < end; from++) {
        so_far = (so_far ^ *from) * FNV_PRIME;
    }
    return so_far;
}

_Noreturn void m3_reset(void)
{
    uint32_t noise = digest(FNV_BASIS, m3_noise, m3_noise_end);
    noise = digest(noise, m3_stack_top, m3_ram_end);
    uint32_t *here;
    __asm volatile("mov %0, sp" : "=r"(here));
    for (uint32_t *word = m3_stack; word < here - STACK_IN_USE; word++) {
        *word = HAL_STACK_PAINT;
    }
    const uint32_t *from = m3_data_load;
    for (uint32_t *word = m3_data; word < m3_data_end; word++) {
        *word = *from++;
    }
    for (uint32_t *word = m3_bss; word < m3_bss_end; word++) {
        *word = 0U;
    }
    m3_main(noise);
}

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector_t;

#define HALT {.handler = m3_halt}

/* Nothing above timer 0 is ever enabled. */
__attribute__((section(".vectors"), used)) static const vector_t vectors[] = {
    {.stack = m3_stack_top}, {.handler = m3_reset},
    /* NMI to PendSV */
    HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT,
    {.handler = m3_systick},
    /* Interrupts 0 to 6, 7 to 18, 19. */
    HALT, HALT, HALT, HALT, HALT, {.handler = m3_uart0}, {.handler = m3_uart1},
    HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT, HALT,
    {.handler = m3_timer0a},
};

_Static_assert(sizeof vectors == (16 + IRQ_TIMER0A + 1) * sizeof vectors[0], "a vector is missing");
