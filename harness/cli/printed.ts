/** For the tests of this folder. */
import { vi } from 'vitest';
import { commandLine } from './program.ts';

/** Runs a command in this process. @returns its exit code, and what it printed to stdout and stderr */
export async function printed(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const code = await commandLine(words, (text) => {
    err += text;
  });
  return { code, out, err };
}
