/* The registers the image uses. Source: Stellaris LM3S6965 data sheet (Texas Instruments,
 * DS-LM3S6965-12746); SysTick and NVIC: ARMv7-M Architecture Reference Manual (ARM DDI 0403), B3.
 * */
#ifndef CELLWRIGHT_LM3S6965_H
#define CELLWRIGHT_LM3S6965_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* System control (chapter 5). */
#define SYS_RESC REGISTER(0x400FE05CU)  /* why the last reset came; sticky until written */
#define SYS_RIS REGISTER(0x400FE050U)
#define SYS_RCC REGISTER(0x400FE060U)
#define SYS_RCGC0 REGISTER(0x400FE100U)
#define SYS_RCGC1 REGISTER(0x400FE104U)
#define SYS_RCGC2 REGISTER(0x400FE108U)
enum {
    RESC_EXTERNAL = 1 << 0, RESC_POWER = 1 << 1, RESC_BROWN_OUT = 1 << 2, RESC_WATCHDOG = 1 << 3,
    RESC_SOFTWARE = 1 << 4,
    RIS_PLL_LOCKED = 1 << 6,
    RCGC0_WATCHDOG = 1 << 3,
    RCGC1_UART0 = 1 << 0, RCGC1_UART1 = 1 << 1, RCGC1_TIMER0 = 1 << 16,
    RCGC2_PORTS = 0xF, /* ports A to D: the UARTs and the strip */
};
/* 8 MHz crystal, main oscillator, PLL 200 MHz divided by 4 = 50 MHz (table 5-5). */
enum {
    RCC_BYPASS = 1 << 11, RCC_PLL_DOWN = 1 << 13, RCC_USE_DIVIDER = 1 << 22,
    RCC_DIVIDE_BY_4 = 3 << 23,
    RCC_CRYSTAL_8MHZ = 0xE << 6, RCC_MAIN_OFF = 1 << 0, RCC_INTERNAL_OFF = 1 << 1,
};
#define CLOCK_HZ 50000000U

/* GPIO port A and D: the alternate function of the UART pins (table 9-1: U0 on PA0/1, U1 on PD2/3).
 * */
#define GPIO_A_AFSEL REGISTER(0x40004420U)
#define GPIO_A_DEN REGISTER(0x4000451CU)
#define GPIO_D_AFSEL REGISTER(0x40007420U)
#define GPIO_D_DEN REGISTER(0x4000751CU)

/* UART (chapter 13): offsets from the base of each. */
#define UART0_BASE 0x4000C000U
#define UART1_BASE 0x4000D000U
#define UART_DR(base) REGISTER((base) + 0x000U)
#define UART_FR(base) REGISTER((base) + 0x018U)
#define UART_IBRD(base) REGISTER((base) + 0x024U)
#define UART_FBRD(base) REGISTER((base) + 0x028U)
#define UART_LCRH(base) REGISTER((base) + 0x02CU)
#define UART_CTL(base) REGISTER((base) + 0x030U)
#define UART_IFLS(base) REGISTER((base) + 0x034U)
#define UART_IM(base) REGISTER((base) + 0x038U)
enum {
    UART_RX_EMPTY = 1 << 4, UART_TX_FULL = 1 << 5,
    UART_8N1_FIFO = 0x70,
    UART_ENABLE = 0x301,
    UART_RX_INTERRUPTS = (1 << 4) | (1 << 6), /* level and time-out */
};

/* Timer 0 (chapter 10). */
#define TIMER_CFG REGISTER(0x40030000U)
#define TIMER_TAMR REGISTER(0x40030004U)
#define TIMER_CTL REGISTER(0x4003000CU)
#define TIMER_IMR REGISTER(0x40030018U)
#define TIMER_ICR REGISTER(0x40030024U)
#define TIMER_TAILR REGISTER(0x40030028U)
enum { TIMER_32_BIT = 0, TIMER_ONE_SHOT = 1, TIMER_A_ENABLE = 1, TIMER_A_TIMEOUT = 1 };

/* Watchdog (chapter 11): the first expiry raises its interrupt, the second resets. */
#define WDT_LOAD REGISTER(0x40000000U)
#define WDT_CTL REGISTER(0x40000008U)
#define WDT_ICR REGISTER(0x4000000CU)
#define WDT_LOCK REGISTER(0x40000C00U)
enum { WDT_INTERRUPT_AND_RESET = 3 };
#define WDT_UNLOCK 0x1ACCE551U

/* Cortex-M3. */
#define SYST_CSR REGISTER(0xE000E010U)
#define SYST_RVR REGISTER(0xE000E014U)
#define SYST_CVR REGISTER(0xE000E018U)
#define SCB_ICSR REGISTER(0xE000ED04U)
#define NVIC_ISER0 REGISTER(0xE000E100U)
enum {
    SYST_ON_CORE_CLOCK_WITH_INTERRUPT = 7,
    ICSR_SYSTICK_PENDS = 1 << 26,
    IRQ_UART0 = 5, IRQ_UART1 = 6, IRQ_TIMER0A = 19,
};

#endif
