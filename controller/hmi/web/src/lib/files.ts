/** Files a person hands in: what may be sent, and how bytes become text. */

export const FILE_BYTES_MAX = 32_768;
const NAME = /^[A-Za-z0-9][A-Za-z0-9 ._()-]{0,99}$/;

/** Why a file cannot be handed in; empty if it can. The station looks at it again. */
export function fileTrouble(name: string, bytes: number): string {
  if (!NAME.test(name)) return 'The name of the file may have letters, digits, blanks and . _ - ( ) only.';
  if (bytes === 0) return 'The file is empty.';
  if (bytes > FILE_BYTES_MAX) return `The file has ${bytes} bytes, ${FILE_BYTES_MAX} are allowed.`;
  return '';
}

/** Bytes in base64. */
export function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
