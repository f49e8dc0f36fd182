import { describe, expect, it } from 'vitest';
import { base64, fileTrouble, FILE_BYTES_MAX } from '../src/lib/files';

describe('files a person hands in', () => {
  it('takes a plain small file and says why another is not taken', () => {
    expect(fileTrouble('counts day 1 (2).csv', 120)).toBe('');
    expect(fileTrouble('../counts.csv', 120)).toContain('name of the file');
    expect(fileTrouble('zählung.csv', 120)).toContain('name of the file');
    expect(fileTrouble('counts.csv', 0)).toBe('The file is empty.');
    expect(fileTrouble('counts.csv', FILE_BYTES_MAX + 1)).toContain('32769 bytes');
    expect(fileTrouble('counts.csv', FILE_BYTES_MAX)).toBe('');
  });

  it('packs every byte as it is', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const back = Uint8Array.from(atob(base64(bytes)), (sign) => sign.charCodeAt(0));
    expect([...back]).toEqual([...bytes]);
    expect(base64(new Uint8Array())).toBe('');
  });
});
