/* Made by `python -m firmware_bridge.header`; do not edit. Numbers of PROTOCOL.md:
 * CW_MESSAGE_FIELD is an offset from the first byte of the payload (or row),
 * CW_SIZEOF_MESSAGE its size in bytes. */
#ifndef CELLWRIGHT_PROTOCOL_H
#define CELLWRIGHT_PROTOCOL_H

#define CW_VERSION 1u
#define CW_PAYLOAD_MAX 240u
#define CW_HEAD_SIZE 8u
#define CW_CRC_SIZE 4u
#define CW_FRAME_MAX 252u
#define CW_ENCODED_MAX 256u
#define CW_CHUNK_MAX 200u
#define CW_WRITES_MAX 8u
#define CW_GIVEN_MAX 17u
#define CW_EVENTS_MAX 12u
#define CW_EVENTS_KEPT 24u
#define CW_SIGNALS_MAX 24u
#define CW_CONDITIONS_MAX 32u
#define CW_CAUSES_MAX 16u
#define CW_EFFECTS_MAX 32u
#define CW_CHANNELS_MAX 8u
#define CW_ANALOG_MAX 4u
#define CW_DIGITAL_MAX 32u
#define CW_GROUPS_MAX 4u
#define CW_PWM_CHANNEL 7u
#define CW_PWM_MAX 1000u
#define CW_NONE 255u
#define CW_PASS_US 500u
#define CW_BEAT_MS 250u
#define CW_BEAT_ALIVE_MS 1000u
#define CW_STATUS_MS 100u
#define CW_STATUS_GAP_MS 10u
#define CW_STATUS_CHANGE_US 1000u
#define CW_RETRY_MS 60u
#define CW_RETRIES 4u
#define CW_TABLE_MAGIC "CWT1"

enum cw_type {
    CW_TYPE_HELLO = 0x01,
    CW_TYPE_OPEN = 0x02,
    CW_TYPE_TABLE_BEGIN = 0x03,
    CW_TYPE_TABLE_DATA = 0x04,
    CW_TYPE_TABLE_READ = 0x05,
    CW_TYPE_TABLE_ACTIVATE = 0x06,
    CW_TYPE_ARM = 0x07,
    CW_TYPE_COMMAND = 0x08,
    CW_TYPE_BEAT = 0x09,
    CW_TYPE_RESET = 0x0A,
    CW_TYPE_CLEAR = 0x0B,
    CW_TYPE_EVENTS = 0x0C,
    CW_TYPE_HELLO_ACK = 0x41,
    CW_TYPE_ACK = 0x42,
    CW_TYPE_NAK = 0x43,
    CW_TYPE_TABLE_BYTES = 0x45,
    CW_TYPE_EVENTS_LIST = 0x4C,
    CW_TYPE_STATUS = 0x50,
};

enum cw_nak {
    CW_NAK_VERSION = 1,
    CW_NAK_SCHEMA = 2,
    CW_NAK_LENGTH = 3,
    CW_NAK_TYPE = 4,
    CW_NAK_SESSION = 5,
    CW_NAK_SEQUENCE = 6,
    CW_NAK_NOT_ARMED = 7,
    CW_NAK_ARMED = 8,
    CW_NAK_TABLE_SIZE = 9,
    CW_NAK_TABLE_DIGEST = 10,
    CW_NAK_TABLE_BAD = 11,
    CW_NAK_CHANNEL = 12,
    CW_NAK_VALUE = 13,
    CW_NAK_LEASE = 14,
    CW_NAK_LATCHED = 15,
    CW_NAK_SIGNAL = 16,
    CW_NAK_ROW = 17,
    CW_NAK_STANDS = 18,
    CW_NAK_BLIND = 19,
    CW_NAK_BYPASS = 20,
};

enum cw_latch_reason {
    CW_LATCH_RESTART = 1,
    CW_LATCH_LEASE = 2,
    CW_LATCH_IMAGE = 3,
    CW_LATCH_TABLE = 4,
};

enum cw_event_kind {
    CW_EVENT_STANDS = 1,
    CW_EVENT_CLEARED = 2,
    CW_EVENT_RESET = 3,
    CW_EVENT_LAPSED = 4,
    CW_EVENT_LATCHED = 5,
    CW_EVENT_UNLATCHED = 6,
    CW_EVENT_BOOT = 7,
    CW_EVENT_ARMED = 8,
    CW_EVENT_BYPASS_BEGAN = 9,
    CW_EVENT_BYPASS_ENDED = 10,
    CW_EVENT_LOST = 11,
};

enum cw_reset_reason {
    CW_BOOT_POWER_UP = 0,
    CW_BOOT_WATCHDOG = 1,
    CW_BOOT_OTHER = 2,
};

enum cw_state {
    CW_STATE_NONE = 0,
    CW_STATE_OPEN = 1,
    CW_STATE_ARMED = 2,
};

enum cw_source {
    CW_SOURCE_HOST = 0,
    CW_SOURCE_ANALOG = 1,
    CW_SOURCE_DIGITAL = 2,
};

enum cw_op {
    CW_OP_ABOVE = 0,
    CW_OP_BELOW = 1,
    CW_OP_BAD = 2,
};

enum cw_bad {
    CW_BAD_TRIP = 0,
    CW_BAD_DEGRADE = 1,
    CW_BAD_IGNORE = 2,
};

enum cw_kind {
    CW_KIND_INTERLOCK = 2,
    CW_KIND_PROTECT = 3,
};

enum cw_channel_kind {
    CW_CHANNEL_DIGITAL = 0,
    CW_CHANNEL_PWM = 1,
};

enum cw_quality {
    CW_QUALITY_GOOD = 0,
    CW_QUALITY_UNCERTAIN = 1,
    CW_QUALITY_BAD = 2,
};

enum cw_reason {
    CW_REASON_NONE = 0,
    CW_REASON_NEVER_READ = 1,
    CW_REASON_TOO_OLD = 2,
    CW_REASON_NOT_FINITE = 3,
    CW_REASON_OUT_OF_RANGE = 4,
    CW_REASON_TOO_FAST = 5,
    CW_REASON_DEVICE = 6,
    CW_REASON_COMMUNICATION = 7,
    CW_REASON_STUCK = 8,
    CW_REASON_OPERAND = 9,
    CW_REASON_SUBSTITUTED = 10,
    CW_REASON_DRIVER = 11,
};

/* Flags of a row and of the state in STATUS. */
#define CW_ROW_STANDS 1u
#define CW_ROW_LATCHED 2u
#define CW_ROW_BYPASSED 4u
#define CW_ROW_NOT_VALID 8u
#define CW_STATE_SESSION_MASK 3u
#define CW_STATE_BEAT_ALIVE 4u

/* A decoded frame; the CRC stands at its end. */
#define CW_FRAME_VERSION 0u
#define CW_FRAME_TYPE 1u
#define CW_FRAME_SESSION 2u
#define CW_FRAME_SEQUENCE 6u
#define CW_FRAME_PAYLOAD 8u

/* Hello */
#define CW_HELLO_SCHEMA 0u
#define CW_SIZEOF_HELLO 8u

/* Open */
#define CW_SIZEOF_OPEN 0u

/* TableBegin */
#define CW_TABLE_BEGIN_SIZE 0u
#define CW_TABLE_BEGIN_DIGEST 2u
#define CW_SIZEOF_TABLE_BEGIN 34u

/* TableData */
#define CW_TABLE_DATA_OFFSET 0u
#define CW_TABLE_DATA_DATA 2u
#define CW_TABLE_DATA_DATA_MAX 200u
#define CW_SIZEOF_TABLE_DATA_MIN 3u
#define CW_SIZEOF_TABLE_DATA_MAX 202u

/* TableRead */
#define CW_TABLE_READ_OFFSET 0u
#define CW_TABLE_READ_COUNT 2u
#define CW_SIZEOF_TABLE_READ 3u

/* TableActivate */
#define CW_TABLE_ACTIVATE_DIGEST 0u
#define CW_SIZEOF_TABLE_ACTIVATE 32u

/* Arm */
#define CW_ARM_DIGEST 0u
#define CW_ARM_DISTRUST 32u
#define CW_SIZEOF_ARM 33u

/* Command */
#define CW_COMMAND_WRITES_COUNT 0u
#define CW_COMMAND_WRITES 1u
#define CW_COMMAND_WRITES_MAX 8u
#define CW_SIZEOF_COMMAND_MIN 6u
#define CW_SIZEOF_COMMAND_MAX 41u

/* Beat */
#define CW_BEAT_PROGRESS 0u
#define CW_BEAT_BYPASSED 4u
#define CW_BEAT_GIVEN_COUNT 8u
#define CW_BEAT_GIVEN 9u
#define CW_BEAT_GIVEN_MAX 17u
#define CW_SIZEOF_BEAT_MIN 9u
#define CW_SIZEOF_BEAT_MAX 230u

/* Reset */
#define CW_RESET_ROW 0u
#define CW_SIZEOF_RESET 1u

/* Clear */
#define CW_CLEAR_CHANNELS 0u
#define CW_SIZEOF_CLEAR 2u

/* Events */
#define CW_EVENTS_START 0u
#define CW_SIZEOF_EVENTS 4u

/* HelloAck */
#define CW_HELLO_ACK_SCHEMA 0u
#define CW_HELLO_ACK_IMAGE 8u
#define CW_HELLO_ACK_TABLE 40u
#define CW_HELLO_ACK_BOOT_ID 72u
#define CW_HELLO_ACK_TIME_US 76u
#define CW_HELLO_ACK_RESET_REASON 84u
#define CW_HELLO_ACK_LATCHED 85u
#define CW_HELLO_ACK_TABLE_BYTES_MAX 87u
#define CW_SIZEOF_HELLO_ACK 89u

/* Ack */
#define CW_ACK_TIME_US 0u
#define CW_SIZEOF_ACK 8u

/* NakReply */
#define CW_REPLY_NAK_CODE 0u
#define CW_REPLY_NAK_DETAIL 1u
#define CW_REPLY_NAK_TIME_US 3u
#define CW_SIZEOF_REPLY_NAK 11u

/* TableBytes */
#define CW_TABLE_BYTES_OFFSET 0u
#define CW_TABLE_BYTES_DATA 2u
#define CW_TABLE_BYTES_DATA_MAX 200u
#define CW_SIZEOF_TABLE_BYTES_MIN 3u
#define CW_SIZEOF_TABLE_BYTES_MAX 202u

/* EventsList */
#define CW_EVENTS_LIST_FIRST 0u
#define CW_EVENTS_LIST_HEAD 4u
#define CW_EVENTS_LIST_EVENTS_COUNT 8u
#define CW_EVENTS_LIST_EVENTS 9u
#define CW_EVENTS_LIST_EVENTS_MAX 12u
#define CW_SIZEOF_EVENTS_LIST_MIN 9u
#define CW_SIZEOF_EVENTS_LIST_MAX 153u

/* Status */
#define CW_STATUS_NUMBER 0u
#define CW_STATUS_TIME_US 4u
#define CW_STATUS_EVENTS 12u
#define CW_STATUS_STATE 16u
#define CW_STATUS_INPUTS 17u
#define CW_STATUS_DRIVEN 21u
#define CW_STATUS_WISHED 22u
#define CW_STATUS_PWM 23u
#define CW_STATUS_LATCHED 25u
#define CW_STATUS_FORCED 27u
#define CW_STATUS_ANALOG_COUNT 29u
#define CW_STATUS_ANALOG 30u
#define CW_STATUS_ANALOG_MAX 4u
#define CW_STATUS_ROWS_MAX 16u
#define CW_SIZEOF_STATUS_MIN 31u
#define CW_SIZEOF_STATUS_MAX 83u

/* Write */
#define CW_WRITE_CHANNEL 0u
#define CW_WRITE_VALUE 1u
#define CW_WRITE_LEASE_MS 3u
#define CW_SIZEOF_WRITE 5u

/* Given */
#define CW_GIVEN_SIGNAL 0u
#define CW_GIVEN_QUALITY 1u
#define CW_GIVEN_REASON 2u
#define CW_GIVEN_AGE_MS 3u
#define CW_GIVEN_VALUE 5u
#define CW_SIZEOF_GIVEN 13u

/* Event */
#define CW_EVENT_TIME_US 0u
#define CW_EVENT_KIND 8u
#define CW_EVENT_INDEX 9u
#define CW_EVENT_PLACE 10u
#define CW_EVENT_DETAIL 11u
#define CW_SIZEOF_EVENT 12u

/* Analog */
#define CW_ANALOG_QUALITY 0u
#define CW_ANALOG_VALUE 1u
#define CW_SIZEOF_ANALOG 9u

/* Header */
#define CW_T_HEADER_MAGIC 0u
#define CW_T_HEADER_N_SIGNALS 4u
#define CW_T_HEADER_N_CONDITIONS 5u
#define CW_T_HEADER_N_CAUSES 6u
#define CW_T_HEADER_N_EFFECTS 7u
#define CW_T_HEADER_N_CHANNELS 8u
#define CW_T_HEADER_N_ANALOG 9u
#define CW_T_HEADER_N_DIGITAL 10u
#define CW_T_HEADER_N_GROUPS 11u
#define CW_T_HEADER_SIZE 12u
#define CW_T_HEADER_ZERO 14u
#define CW_SIZEOF_T_HEADER 16u

/* Signal */
#define CW_T_SIGNAL_SOURCE 0u
#define CW_T_SIGNAL_NUMBER 1u
#define CW_T_SIGNAL_ZERO 2u
#define CW_T_SIGNAL_MAX_AGE_US 4u
#define CW_SIZEOF_T_SIGNAL 8u

/* Condition */
#define CW_T_CONDITION_SIGNAL 0u
#define CW_T_CONDITION_OP 1u
#define CW_T_CONDITION_BAD 2u
#define CW_T_CONDITION_ZERO 3u
#define CW_T_CONDITION_ON_DELAY_US 4u
#define CW_T_CONDITION_OFF_DELAY_US 8u
#define CW_T_CONDITION_LIMIT 12u
#define CW_T_CONDITION_HYSTERESIS 20u
#define CW_SIZEOF_T_CONDITION 28u

/* Cause */
#define CW_T_CAUSE_KIND 0u
#define CW_T_CAUSE_FIRST_CONDITION 1u
#define CW_T_CAUSE_N_CONDITIONS 2u
#define CW_T_CAUSE_VOTES 3u
#define CW_T_CAUSE_ON_DELAY_US 4u
#define CW_T_CAUSE_BAD_DELAY_US 8u
#define CW_T_CAUSE_OFF_DELAY_US 12u
#define CW_T_CAUSE_VALID_SIGNAL 16u
#define CW_T_CAUSE_VALID_WHEN 17u
#define CW_T_CAUSE_FIRST_EFFECT 18u
#define CW_T_CAUSE_N_EFFECTS 19u
#define CW_T_CAUSE_BYPASSABLE 20u
#define CW_T_CAUSE_GROUP 21u
#define CW_T_CAUSE_ZERO 22u
#define CW_SIZEOF_T_CAUSE 24u

/* Effect */
#define CW_T_EFFECT_CHANNEL 0u
#define CW_T_EFFECT_ZERO 1u
#define CW_T_EFFECT_VALUE 2u
#define CW_SIZEOF_T_EFFECT 4u

/* Channel */
#define CW_T_CHANNEL_KIND 0u
#define CW_T_CHANNEL_KEEP 1u
#define CW_T_CHANNEL_LATCH 2u
#define CW_T_CHANNEL_RETAIN 3u
#define CW_T_CHANNEL_HIGHER_WINS 4u
#define CW_T_CHANNEL_ZERO 5u
#define CW_T_CHANNEL_LAPSE 6u
#define CW_T_CHANNEL_START 8u
#define CW_T_CHANNEL_LEASE_MS_MAX 10u
#define CW_SIZEOF_T_CHANNEL 12u

/* AnalogInput */
#define CW_T_ANALOG_INPUT_LOW_RAW 0u
#define CW_T_ANALOG_INPUT_HIGH_RAW 2u
#define CW_T_ANALOG_INPUT_SCALE 4u
#define CW_T_ANALOG_INPUT_OFFSET 12u
#define CW_T_ANALOG_INPUT_LOW 20u
#define CW_T_ANALOG_INPUT_HIGH 28u
#define CW_SIZEOF_T_ANALOG_INPUT 36u

#endif
