/* See hal.h. The clock is SysTick, 320 ms a turn, its turns counted by its interrupt: a whole
 * number of microseconds a turn, and turns so long that an emulator held up for a while loses none.
 * */
#include "hal.h"

#include "lm3s6965.h"

#define CYCLES_PER_US (CLOCK_HZ / 1000000U)
#define TURN_US 320000U
#define TURN_CYCLES (TURN_US * CYCLES_PER_US)
#define WATCHDOG_CYCLES (CLOCK_HZ / 2U)
#define BAUD 115200U

enum {
    RING = 64, /* a power of two; 5 ms of the line */
    FRAME_END = 0,
};

/* Bytes from a UART: its interrupt writes at `head`, the main loop reads at `tail`. */
typedef struct {
    volatile uint16_t head;
    volatile uint16_t tail;
    volatile uint64_t arrived_us;
    uint8_t bytes[RING];
} ring_t;

extern uint32_t m3_stack[], m3_stack_top[];

static ring_t rings[2];
static volatile uint32_t turns;
static volatile bool work; /* the end of a frame, a ring half full, or the alarm */
static const uint32_t bases[2] = {UART0_BASE, UART1_BASE};

static void interrupts_off(void) { __asm volatile("cpsid i" ::: "memory"); }
static void interrupts_on(void) { __asm volatile("cpsie i" ::: "memory"); }

static void start_clocks(void)
{
    /* Data sheet 5.3: bypass the PLL, power it, wait for its lock, use it. */
    SYS_RCC = RCC_BYPASS | RCC_CRYSTAL_8MHZ | RCC_INTERNAL_OFF | RCC_USE_DIVIDER | RCC_DIVIDE_BY_4;
    for (uint32_t patience = 100000U; patience > 0U && !(SYS_RIS & RIS_PLL_LOCKED); patience--) {
    }
    SYS_RCC = RCC_CRYSTAL_8MHZ | RCC_INTERNAL_OFF | RCC_USE_DIVIDER | RCC_DIVIDE_BY_4;
    SYS_RCGC0 |= RCGC0_WATCHDOG;
    SYS_RCGC1 |= RCGC1_UART0 | RCGC1_UART1 | RCGC1_TIMER0;
    SYS_RCGC2 |= RCGC2_PORTS;
    SYST_RVR = TURN_CYCLES - 1U;
    SYST_CVR = 0U;
    SYST_CSR = SYST_ON_CORE_CLOCK_WITH_INTERRUPT;
    while (SYST_CVR == 0U) {
        /* Till its first reload it would read as the end of a turn. */
    }
}

static void start_uart(uint32_t base)
{
    /* Data sheet 13.3.2: divisor = clock / (16 x baud), fraction in 64ths, rounded. */
    const uint32_t divisor_64 = (CLOCK_HZ * 4U + BAUD / 2U) / BAUD;
    UART_IBRD(base) = divisor_64 / 64U;
    UART_FBRD(base) = divisor_64 % 64U;
    UART_LCRH(base) = UART_8N1_FIFO;
    UART_IFLS(base) = 0U; /* interrupt at an eighth full, or after four idle characters */
    UART_IM(base) = UART_RX_INTERRUPTS;
    UART_CTL(base) = UART_ENABLE;
}

void hal_start(void)
{
    start_clocks();
    GPIO_A_AFSEL |= 0x3U;
    GPIO_A_DEN |= 0x3U;
    GPIO_D_AFSEL |= 0xCU;
    GPIO_D_DEN |= 0xCU;
    start_uart(UART0_BASE);
    start_uart(UART1_BASE);
    TIMER_CFG = TIMER_32_BIT;
    TIMER_TAMR = TIMER_ONE_SHOT;
    TIMER_IMR = TIMER_A_TIMEOUT;
    NVIC_ISER0 = (1U << IRQ_UART0) | (1U << IRQ_UART1) | (1U << IRQ_TIMER0A);
    WDT_LOCK = WDT_UNLOCK;
    WDT_LOAD = WATCHDOG_CYCLES;
    WDT_CTL = WDT_INTERRUPT_AND_RESET;
    WDT_LOCK = 0U; /* from here on a stray write cannot stop it */
    interrupts_on();
}

hal_cause_t hal_reset_cause(void)
{
    const uint32_t cause = SYS_RESC;
    SYS_RESC = 0U;
    if (cause & RESC_POWER) {
        return HAL_CAUSE_POWER; /* the other bits mean nothing after it (data sheet, RESC) */
    }
    if (cause & RESC_WATCHDOG) {
        return HAL_CAUSE_WATCHDOG;
    }
    const uint32_t others = RESC_EXTERNAL | RESC_BROWN_OUT | RESC_SOFTWARE;
    return cause & others ? HAL_CAUSE_OTHER : HAL_CAUSE_UNTOLD;
}

uint64_t hal_clock_us(void)
{
    uint32_t seen, left, pends;
    do {
        seen = turns;
        left = SYST_CVR;
        pends = SCB_ICSR & ICSR_SYSTICK_PENDS;
    } while (seen != turns);
    /* A turn that ended while interrupts were masked is not counted yet: the counter, just
     * reloaded, tells. */
    const uint32_t uncounted = pends && left > TURN_CYCLES / 2U ? 1U : 0U;
    return (uint64_t)(seen + uncounted) * TURN_US + (TURN_CYCLES - 1U - left) / CYCLES_PER_US;
}

void hal_sleep(uint64_t until_us)
{
    /* Masked, so that an interrupt between the look and the WFI still wakes it (ARM DDI 0403,
     * B1.5.17). */
    interrupts_off();
    const uint64_t now_us = hal_clock_us();
    if (now_us < until_us && !work) {
        const uint64_t wait_us = until_us - now_us;
        TIMER_CTL = 0U;
        TIMER_TAILR = (uint32_t)(wait_us < TURN_US ? wait_us : TURN_US) * CYCLES_PER_US;
        TIMER_CTL = TIMER_A_ENABLE;
        while (!work) {
            __asm volatile("dsb\n\twfi" ::: "memory");
            interrupts_on();
            __asm volatile("isb" ::: "memory");
            interrupts_off();
        }
    }
    work = false;
    interrupts_on();
}

size_t hal_take(hal_uart_t uart, uint8_t *bytes, size_t room, uint64_t *arrived_us)
{
    ring_t *ring = &rings[uart];
    size_t count = 0;
    interrupts_off(); /* the time is 64 bits: two writes of the interrupt */
    *arrived_us = ring->arrived_us;
    interrupts_on();
    while (count < room && ring->tail != ring->head) {
        bytes[count++] = ring->bytes[ring->tail % RING];
        ring->tail = (uint16_t)(ring->tail + 1U);
    }
    UART_IM(bases[uart]) = UART_RX_INTERRUPTS; /* there is room again */
    return count;
}

bool hal_has_room(hal_uart_t uart) { return !(UART_FR(bases[uart]) & UART_TX_FULL); }

void hal_put(hal_uart_t uart, uint8_t byte) { UART_DR(bases[uart]) = byte; }

void hal_feed_watchdog(void)
{
    WDT_LOCK = WDT_UNLOCK;
    WDT_ICR = 0U;
    WDT_LOCK = 0U;
}

_Noreturn void hal_hang(void)
{
    interrupts_off();
    for (;;) {
    }
}

size_t hal_stack_free(void)
{
    const uint32_t *word = m3_stack;
    while (word < m3_stack_top && *word == HAL_STACK_PAINT) {
        word++;
    }
    return (size_t)(word - m3_stack) * sizeof *word;
}

/* Interrupts. A UART's is over when its FIFO was read empty. A full ring leaves the rest in there,
 * masked, till the main loop made room; what the hardware drops meanwhile the CRC tells. */

static void receive(hal_uart_t uart)
{
    ring_t *ring = &rings[uart];
    const uint32_t base = bases[uart];
    while (!(UART_FR(base) & UART_RX_EMPTY)) {
        if ((uint16_t)(ring->head - ring->tail) == RING) {
            UART_IM(base) = 0U;
            return;
        }
        const uint8_t byte = (uint8_t)UART_DR(base);
        ring->bytes[ring->head % RING] = byte;
        ring->head = (uint16_t)(ring->head + 1U);
        if (byte == FRAME_END) {
            ring->arrived_us = hal_clock_us();
        }
        if (byte == FRAME_END || (uint16_t)(ring->head - ring->tail) >= RING / 2) {
            work = true;
        }
    }
}

void m3_uart0(void) { receive(HAL_LINE); }
void m3_uart1(void) { receive(HAL_STRIP); }
void m3_systick(void) { turns = turns + 1U; }

void m3_timer0a(void)
{
    TIMER_ICR = TIMER_A_TIMEOUT;
    work = true;
}
